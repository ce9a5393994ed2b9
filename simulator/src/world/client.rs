//! Clients: programs that ask sites and wait, as home's backup and a recipient's restore do. Each is an `async`
//! function on a tiny executor of its own: one thread, virtual time, no wakers; a client that crashes is a future that is
//! dropped.

pub mod survey;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use protocol::signature::PublicKey;
use protocol::wire::{Refusal, Request, Response};

use super::sim_disk::Bytes;
use super::trace::NodeId;
use super::virtual_clock::Time;

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nobody answered in time.
    #[error("does not answer")]
    Unreachable,
    /// The site said no.
    #[error("refuses: {0}")]
    Refused(Refusal),
    /// An answer to another question.
    #[error("an answer to another question")]
    Unexpected,
}

impl CallError {
    /// What the site said.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        if let Self::Refused(refusal) = self { Some(refusal) } else { None }
    }
}

/// An answer and the shard that follows it.
pub type Answer = Result<(Response, Option<Bytes>), CallError>;

/// What a client wants of the world.
#[derive(Debug)]
pub enum Want<N> {
    /// An answer.
    Call {
        /// Its number.
        number: u64,
        /// Of whom.
        to: NodeId,
        /// The key of the connection.
        caller: PublicKey,
        /// The question.
        request: Box<Request>,
        /// The shard that follows.
        body: Option<Bytes>,
    },
    /// To be woken.
    Sleep {
        /// Its number.
        number: u64,
        /// When.
        until: Time,
    },
    /// The world should know.
    Note(N),
}

#[derive(Debug)]
struct Desk<N> {
    now: Time,
    next: u64,
    wants: Vec<Want<N>>,
    answers: BTreeMap<u64, Answer>,
    woken: BTreeMap<u64, ()>,
}

/// A client's end of the world; cheap to clone.
#[derive(Debug)]
pub struct Port<N>(Rc<RefCell<Desk<N>>>);

impl<N> Clone for Port<N> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<N> Default for Port<N> {
    fn default() -> Self {
        let desk =
            Desk { now: Time::default(), next: 0, wants: Vec::new(), answers: BTreeMap::new(), woken: BTreeMap::new() };
        Self(Rc::new(RefCell::new(desk)))
    }
}

impl<N> Port<N> {
    /// True time; a client that shows it to anybody adds the error of its own clock.
    #[must_use]
    pub fn now(&self) -> Time {
        self.0.borrow().now
    }

    /// Tells the world something.
    pub fn note(&self, note: N) {
        self.0.borrow_mut().wants.push(Want::Note(note));
    }

    /// Asks a site and waits.
    ///
    /// # Errors
    /// No answer, or no.
    pub async fn call(&self, to: NodeId, caller: PublicKey, request: Request) -> Result<Response, CallError> {
        self.call_with(to, caller, request, None).await.map(|(response, _body)| response)
    }

    /// As [`Port::call`], with the shard that follows the question and the one that follows the answer.
    ///
    /// # Errors
    /// As [`Port::call`].
    pub async fn call_with(&self, to: NodeId, caller: PublicKey, request: Request, body: Option<Bytes>) -> Answer {
        let number = {
            let mut desk = self.0.borrow_mut();
            desk.next += 1;
            let number = desk.next;
            desk.wants.push(Want::Call { number, to, caller, request: Box::new(request), body });
            number
        };
        let (response, body) = poll_until(|| self.0.borrow_mut().answers.remove(&number)).await?;
        if let Response::Refused(refusal) = response {
            return Err(CallError::Refused(refusal));
        }
        Ok((response, body))
    }

    /// Waits.
    pub async fn sleep_ms(&self, ms: u64) {
        let number = {
            let mut desk = self.0.borrow_mut();
            desk.next += 1;
            let (number, until) = (desk.next, desk.now.plus_ms(ms));
            desk.wants.push(Want::Sleep { number, until });
            number
        };
        poll_until(|| self.0.borrow_mut().woken.remove(&number)).await;
    }
}

async fn poll_until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    std::future::poll_fn(move |_context| look().map_or(Poll::Pending, Poll::Ready)).await
}

/// Waits for all of them, side by side; what they return stands in the order of `futures`.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<Result<F::Output, Pin<Box<F>>>> =
        futures.into_iter().map(|future| Err(Box::pin(future))).collect();
    std::future::poll_fn(move |context| {
        let mut all_done = true;
        for slot in &mut waiting {
            if let Err(future) = slot {
                match future.as_mut().poll(context) {
                    Poll::Ready(output) => *slot = Ok(output),
                    Poll::Pending => all_done = false,
                }
            }
        }
        if all_done {
            Poll::Ready(std::mem::take(&mut waiting).into_iter().filter_map(Result::ok).collect())
        } else {
            Poll::Pending
        }
    })
    .await
}

/// A running client.
pub struct Task<N> {
    future: Pin<Box<dyn Future<Output = ()>>>,
    port: Port<N>,
    /// Its node.
    pub node: NodeId,
}

impl<N> std::fmt::Debug for Task<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Task of node {}", self.node.0)
    }
}

/// What became of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It waits.
    Waits,
    /// It has ended.
    Ended,
}

impl<N> Task<N> {
    /// Makes a task of a program that was given `port`.
    #[must_use]
    pub fn new(node: NodeId, port: Port<N>, program: impl Future<Output = ()> + 'static) -> Self {
        Self { future: Box::pin(program), port, node }
    }

    /// An answer has come, or will not.
    pub fn answer(&self, number: u64, answer: Answer) {
        self.port.0.borrow_mut().answers.insert(number, answer);
    }

    /// A sleep is over.
    pub fn wake(&self, number: u64) {
        self.port.0.borrow_mut().woken.insert(number, ());
    }

    /// Lets it run until it waits; what it wants is put into `wants`.
    pub fn run(&mut self, now: Time, wants: &mut Vec<Want<N>>) -> Progress {
        self.port.0.borrow_mut().now = now;
        let mut context = Context::from_waker(Waker::noop());
        let progress = match self.future.as_mut().poll(&mut context) {
            Poll::Ready(()) => Progress::Ended,
            Poll::Pending => Progress::Waits,
        };
        let mut desk = self.port.0.borrow_mut();
        wants.append(&mut desk.wants);
        if progress == Progress::Ended {
            desk.answers.clear();
        }
        progress
    }
}
