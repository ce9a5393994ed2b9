//! A site's request for a place in the charter, signed by the site's own identity.

use serde::{Deserialize, Serialize};

use super::{Document, Site};
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::signature::Signed;
use crate::signature::quorum::{QuorumError, verify_single};

/// Everything the charter will say about the site. Officials compare its fingerprint over another channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// The entry as the site asks for it.
    pub site: Site,
}

impl Document for JoinRequest {
    const KIND: &'static str = "join-request";
    const BYTES_MAX: usize = DOCUMENT_BYTES_MAX;

    fn validate(&self) -> Result<(), String> {
        self.site.validate()
    }
}

impl Signed<JoinRequest> {
    /// Proves that whoever asks holds the site's identity key.
    ///
    /// # Errors
    /// Not signed by the identity in the request.
    pub fn verify(&self) -> Result<&Site, QuorumError> {
        verify_single(self, self.document().site.identity)?;
        Ok(&self.document().site)
    }
}
