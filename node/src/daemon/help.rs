//! Helping other sites: bytes for their repairs, and answers to their audits.

use protocol::audit::answer;
use protocol::document::Challenge;
use protocol::evidence::ShardName;
use protocol::host::Input;
use protocol::repair::{self, helper_read};
use protocol::signature::PublicKey;
use protocol::timestamp::Timestamp;
use protocol::wire::access::Caller;
use protocol::wire::{Refusal, RefusalCode, Response};

use super::server::Server;
use crate::clock;
use crate::network::frame::{self, FrameError};

impl Server {
    /// A shard, or columns of it, for a site that has said that it lacks its own of the stripe.
    pub(super) async fn give_columns(
        &self,
        caller: PublicKey,
        shard: ShardName,
        columns: Option<(u64, u64)>,
        stream: &mut libp2p::Stream,
    ) -> Result<(), FrameError> {
        let allowed = match self.driver.identify(caller) {
            Caller::Site(site) => self
                .driver
                .read(|machines| helper_read(&site, &shard, &machines.catalog, &machines.evidence, &self.keys)),
            Caller::Writer(_) | Caller::Recipient(_) | Caller::Stranger => {
                Err(Refusal::new(RefusalCode::NotAllowed, "only sites help each other"))
            }
        };
        if let Err(refusal) = allowed {
            return frame::write_frame(stream, &Response::Refused(refusal)).await;
        }
        match columns {
            None => self.send_shard(shard.root, stream).await,
            Some((offset, bytes)) => self.send_range(shard.root, offset, bytes, stream).await,
        }
    }

    /// The signed answer to a challenge: the proof of what is asked for, or that it is not here. What turns out to be
    /// missing is remade.
    pub(super) async fn answer_audit(&self, challenge: Challenge) -> Result<Response, Refusal> {
        let range = self.driver.read(|machines| answer::range_of(&challenge, &machines.catalog, &self.keys))?;
        let _permit = self.shards.acquire().await;
        let proof = match self.prove_range(challenge.root, range.start, range.end - range.start).await {
            Ok(proof) => Some(proof.to_vec()),
            Err(refusal) if matches!(refusal.code, RefusalCode::NotFound | RefusalCode::Corrupt) => {
                let shard = ShardName {
                    database: challenge.database.clone(),
                    stripe_number: challenge.stripe_number,
                    shard_index: challenge.shard_index,
                    root: challenge.root,
                };
                self.driver.tell(Input::Repair(repair::Input::Missing { shard })).await;
                None
            }
            Err(refusal) => return Err(refusal), // the disk does not answer now: nothing is confessed for that
        };
        let now = Timestamp::from_unix_ms(clock::now_ms());
        let signed = self.driver.read(|machines| answer::sign(now, challenge, proof, &machines.catalog, &self.keys))?;
        Ok(Response::Audited(signed.encode().into()))
    }
}
