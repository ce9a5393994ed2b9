//! A site reads its own store through, again and again, at a pace that nobody notices.

use std::time::Duration;

use protocol::evidence::ShardName;
use protocol::host::Input;
use protocol::repair;

use super::driver::Driver;
use crate::clock;
use crate::shard_store::{ReadError, Scrub, ScrubOptions, ScrubStep, ShardStore, StoredShard, Verification};

/// A site that has just started has more urgent things to read.
pub(super) const START_AFTER: Duration = Duration::from_secs(300);

/// Scrubs until dropped; shows `found` every shard that was withdrawn. Ends only if the index fails.
pub(super) async fn run(
    store: ShardStore,
    options: ScrubOptions,
    start_after: Duration,
    mut found: impl FnMut(StoredShard, Verification) + Send,
) {
    tokio::time::sleep(start_after).await;
    let mut scrub = Scrub::resume(store, options);
    loop {
        let stepped = tokio::task::spawn_blocking(move || {
            let step = scrub.step(clock::now_ms());
            (scrub, step)
        });
        let Ok((back, step)) = stepped.await else { return };
        scrub = back;
        match step {
            Ok(ScrubStep::Wait { wait_ms }) => tokio::time::sleep(Duration::from_millis(wait_ms)).await,
            Ok(ScrubStep::Read { found: Some((shard, verification)), .. }) => found(shard, verification),
            Ok(ScrubStep::Read { found: None, .. }) => {}
            Ok(ScrubStep::Ended) => tracing::info!("the store is read through"),
            Err(ReadError::Index(error)) => {
                tracing::error!(%error, "the scrub cannot use the shard index: stopping");
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "a shard was not looked at");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Tells the operator, and the machines, which have it remade.
pub(super) fn report(driver: &Driver, shard: &StoredShard, verification: Verification) {
    let StoredShard { root, database, stripe_number, shard_index, .. } = shard;
    let shard_index = shard_index.get();
    tracing::warn!(%root, %database, stripe_number, shard_index, ?verification, "a shard is not what it was: withdrawn");
    let Ok(database) = database.parse() else { return };
    let shard = ShardName { database, stripe_number: *stripe_number, shard_index, root: *root };
    let driver = driver.clone();
    tokio::spawn(async move { driver.tell(Input::Repair(repair::Input::Missing { shard })).await });
}

#[cfg(test)]
mod tests;
