//! The task on a real store and the real clock.

use shard_codec::{Digest, ShardIndex};
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::shard_store::{Put, PutRequest};

#[tokio::test]
async fn the_task_finds_a_rotten_shard_and_stops_with_the_site() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _report) = ShardStore::open(dir.path()).unwrap();
    let shard = vec![7; 50_000];
    let root = Digest::of(&shard);
    let request = PutRequest {
        root,
        bytes: 50_000,
        database: "land-register".to_owned(),
        quota_bytes: u64::MAX,
        stripe_number: 0,
        shard_index: ShardIndex::new(0),
    };
    let Put::Writer(mut incoming) = store.begin(request).unwrap() else { panic!() };
    incoming.write(&shard).unwrap();
    incoming.commit().unwrap();
    let path = dir.path().join("shards").join(&root.to_string()[..2]).join(root.to_string());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, [vec![7; 49_999], vec![8]].concat()).unwrap();

    let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
    let found = move |shard: StoredShard, verification| send.send((shard.root, verification)).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(run(store.clone(), ScrubOptions::default(), Duration::ZERO, found));
    let found = tokio::time::timeout(Duration::from_secs(60), receive.recv()).await.unwrap();
    assert_eq!(found, Some((root, Verification::Rotten)));
    assert!(!store.contains(&root).unwrap());
    drop(tasks);
    assert_eq!(receive.recv().await, None, "the task is gone");
    drop(store);
    tokio::time::timeout(Duration::from_secs(60), async {
        while ShardStore::open(dir.path()).is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("nothing holds the store any more");
}
