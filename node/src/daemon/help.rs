//! Helping other sites: bytes for their repairs, masked shares for theirs that are lost, and answers to their audits.

use protocol::audit::answer;
use protocol::document::{Challenge, RecoveryScope};
use protocol::evidence::ShardName;
use protocol::host::Input;
use protocol::identifier::SiteName;
use protocol::repair::{self, helper_read};
use protocol::share_recovery::help;
use protocol::signature::PublicKey;
use protocol::timestamp::Timestamp;
use protocol::wire::access::Caller;
use protocol::wire::{HandedMask, Refusal, RefusalCode, Response};

use super::server::Server;
use crate::network::frame::{self, FrameError};
use crate::{clock, entropy};

impl Server {
    /// A shard, or columns of it, for a site that has said that it lacks its own of the stripe.
    pub(super) async fn give_columns(
        &self,
        caller: PublicKey,
        shard: ShardName,
        columns: Option<(u64, u64)>,
        stream: &mut libp2p::Stream,
    ) -> Result<(), FrameError> {
        let allowed = self.helped(caller).and_then(|site| {
            self.driver.read(|machines| helper_read(&site, &shard, &machines.catalog, &machines.evidence, &self.keys))
        });
        if let Err(refusal) = allowed {
            return frame::write_frame(stream, &Response::Refused(refusal)).await;
        }
        match columns {
            None => self.send_shard(shard.root, stream).await,
            Some((offset, bytes)) => self.send_range(shard.root, offset, bytes, stream).await,
        }
    }

    /// Masks for the recovery of another site's shares.
    pub(super) async fn deal_masks(&self, caller: PublicKey, scope: RecoveryScope) -> Result<Response, Refusal> {
        let (site, keys, driver) = (self.helped(caller)?, self.keys.clone(), self.driver.clone());
        let deal = move || {
            driver.read(|machines| help::deal_masks(&site, scope, &machines.catalog, &keys, &mut entropy::rng()))
        };
        tokio::task::spawn_blocking(deal).await.map_err(|error| Refusal::new(RefusalCode::Internal, error))?
    }

    /// This site's shares under the masks of all helpers.
    pub(super) async fn blind_shares(&self, caller: PublicKey, masks: Vec<HandedMask>) -> Result<Response, Refusal> {
        let (site, keys, driver) = (self.helped(caller)?, self.keys.clone(), self.driver.clone());
        let asked = site.clone();
        let blind = move || {
            driver.read(|machines| help::blind_shares(&site, &masks, &machines.catalog, &keys, &mut entropy::rng()))
        };
        let blinded = tokio::task::spawn_blocking(blind).await;
        let response = blinded.map_err(|error| Refusal::new(RefusalCode::Internal, error))??;
        if let Response::WrongMask { dealer } = &response {
            tracing::warn!(site = %asked, %dealer, "a mask is not what was signed");
        } else {
            tracing::info!(site = %asked, "helped with the recovery of its shares");
        }
        Ok(response)
    }

    /// The site that asks for help.
    pub(super) fn helped(&self, caller: PublicKey) -> Result<SiteName, Refusal> {
        match self.driver.identify(caller) {
            Caller::Site(site) => Ok(site),
            Caller::Writer(_) | Caller::Recipient(_) | Caller::Stranger => {
                Err(Refusal::new(RefusalCode::NotAllowed, "only sites help each other"))
            }
        }
    }

    /// The signed answer to a challenge: the proof of what is asked for. What turns out to be missing is named in the
    /// inventory and remade, and no answer is signed.
    pub(super) async fn answer_audit(&self, challenge: Challenge) -> Result<Response, Refusal> {
        let range = self.driver.read(|machines| answer::range_of(&challenge, &machines.catalog, &self.keys))?;
        let _permit = self.shards.acquire().await;
        let proof = match self.prove_range(challenge.root, range.start, range.end - range.start).await {
            Ok(proof) => proof.to_vec(),
            Err(refusal) if matches!(refusal.code, RefusalCode::NotFound | RefusalCode::Corrupt) => {
                let shard = ShardName::from(&challenge);
                self.driver.tell(Input::Repair(repair::Input::Missing { shard })).await;
                return Err(refusal);
            }
            Err(refusal) => return Err(refusal), // the disk does not answer now: that is no loss
        };
        let now = Timestamp::from_unix_ms(clock::now_ms());
        let signed = self.driver.read(|machines| answer::sign(now, challenge, proof, &machines.catalog, &self.keys))?;
        Ok(Response::Audited(signed.encode().into()))
    }
}
