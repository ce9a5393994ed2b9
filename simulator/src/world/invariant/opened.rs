//! Shares as they lie on the sites' disks, opened with the sites' keys: what invariants judge by. Opening is most of what
//! judging costs, and the same bytes open to the same share, so each is opened once in a run.

use std::cell::RefCell;
use std::collections::BTreeMap;

use protocol::catalog::publish::share_context;
use protocol::document::Manifest;
use protocol::machine::RecordKind;
use shard_codec::share_sealing::open_sealed;
use shard_codec::{Digest, Share};

use super::durability::share_key;
use crate::world::sim_site::SimSite;
use crate::world::trace::NodeId;

/// What was opened: by site, and digest of context and sealed bytes.
#[derive(Debug, Default)]
pub struct Opened(RefCell<BTreeMap<(NodeId, Digest), Vec<u8>>>);

impl Opened {
    /// The share of a snapshot that lies on a site's disk.
    ///
    /// # Errors
    /// It is not there, or it does not open.
    pub(super) fn share(&self, site: &SimSite, manifest: &Manifest) -> Result<Share, String> {
        let sealed = site.disk.record(RecordKind::Share, &share_key(manifest)).ok_or("that is not on the disk")?;
        let context = share_context(manifest, &site.keys.name);
        let key = (site.node, Digest::of(&[context.as_slice(), sealed].concat()));
        let mut opened = self.0.borrow_mut();
        if let Some(bytes) = opened.get(&key) {
            return Share::from_bytes(bytes).map_err(|error| error.to_string());
        }
        let bytes = open_sealed(&site.keys.sealing, &context, sealed).map_err(|error| error.to_string())?;
        let share = Share::from_bytes(&bytes).map_err(|error| error.to_string())?;
        opened.insert(key, bytes.to_vec());
        Ok(share)
    }
}
