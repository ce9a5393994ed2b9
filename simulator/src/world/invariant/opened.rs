//! Shares as they lie on the sites' disks, opened with the sites' keys: what invariants judge by. Opening is most of what
//! judging costs, and the same bytes open to the same share, so each is opened once in a run.

use std::cell::RefCell;
use std::collections::BTreeMap;

use protocol::catalog::publish::share_context;
use protocol::document::{Custody, Manifest};
use protocol::machine::RecordKind;
use shard_codec::share_sealing::open_sealed;
use shard_codec::{Digest, Share};

use super::durability::share_key;
use crate::world::chronicle::Chronicle;
use crate::world::sim_site::SimSite;
use crate::world::trace::NodeId;

/// What was opened: by site, and digest of context and sealed bytes; empty if it does not open.
#[derive(Debug, Default)]
pub struct Opened(RefCell<BTreeMap<(NodeId, Digest), Vec<u8>>>);

impl Opened {
    /// The share of a snapshot that lies on a site's disk, and the sharing that it is of.
    ///
    /// # Errors
    /// It is not there, or it does not open.
    pub(super) fn share<'a>(
        &self,
        chronicle: &'a Chronicle,
        site: &SimSite,
        manifest: &'a Manifest,
    ) -> Result<(&'a Custody, Share), String> {
        let sealed = site.disk.record(RecordKind::Share, &share_key(manifest)).ok_or("that is not on the disk")?;
        let mut opened = self.0.borrow_mut();
        for (_proposal, custody) in chronicle.custodies(manifest) {
            let context = share_context(manifest, custody.epoch, &site.keys.name);
            let key = (site.node, Digest::of(&[context.as_slice(), sealed].concat()));
            let bytes = opened.entry(key).or_insert_with(|| {
                open_sealed(&site.keys.sealing, &context, sealed).map(|bytes| bytes.to_vec()).unwrap_or_default()
            });
            if !bytes.is_empty() {
                return Share::from_bytes(bytes).map(|share| (custody, share)).map_err(|error| error.to_string());
            }
        }
        Err("that does not open".to_owned())
    }
}
