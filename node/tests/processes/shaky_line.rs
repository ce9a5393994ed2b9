//! A line that drops connections while they are being made.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::harness::{Plan, State, free_port, write_files};

/// Dials that the line drops: one less than a client makes.
const DROPPED: usize = 2;

/// Passes connections on to `port`, but drops as many as `drops` says.
fn line(listener: TcpListener, port: u16, drops: Arc<AtomicUsize>) {
    thread::spawn(move || {
        for near in listener.incoming().map(Result::unwrap) {
            let drop_it = |left: usize| left.checked_sub(1);
            if drops.fetch_update(Ordering::SeqCst, Ordering::SeqCst, drop_it).is_ok() {
                continue; // dropped before a byte was answered
            }
            let far = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (near_too, far_too) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            thread::spawn(move || drop(io::copy(&mut &near, &mut &far)));
            thread::spawn(move || drop(io::copy(&mut &far_too, &mut &near_too)));
        }
    });
}

#[test]
fn a_site_whose_line_drops_a_handshake_is_dialled_again() {
    let mut state = State::found(Plan::default());
    let (public, private) = (state.sites[0].port, free_port());
    let drops = Arc::new(AtomicUsize::new(0));
    line(TcpListener::bind(("127.0.0.1", public)).unwrap(), private, drops.clone());
    state.start_with(0, &["--listen", &format!("/ip4/127.0.0.1/tcp/{private}")], &[]);
    for index in 1..state.sites.len() {
        state.start(index);
    }
    write_files(&state.path("source"), 3, 10_000, 1);
    drops.store(DROPPED, Ordering::SeqCst);
    let said = state.backup("land-register", "dir:source").succeeded();
    assert_eq!(said.json["missing"], serde_json::json!({}), "{}", said.json);
    assert_eq!(drops.load(Ordering::SeqCst), 0, "nobody dialled while the line dropped");
}
