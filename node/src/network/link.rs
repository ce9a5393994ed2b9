//! What a client holds to one site: a stream that is opened when it is needed and opened again when it breaks.
//!
//! Every request is idempotent, so a call that broke on the way is simply made again, a few times, with a pause.

use std::time::Duration;

use futures::{AsyncRead, AsyncWrite};
use protocol::document::Site;
use protocol::identifier::SiteName;
use protocol::limits::FRAME_BYTES_MAX;
use protocol::signature::PublicKey;
use protocol::wire::{Refusal, Request, Response};

use super::frame::{self, FrameError, STALL};
use super::mesh::{Mesh, MeshError};

/// Dials of one call, the first included.
const DIALS_MAX: u32 = 3;
/// Streams of one call. More of them, because a site drops a stream whenever another one came at the same moment, which
/// is often while strangers flood it.
const STREAMS_MAX: u32 = 8;
/// Pause before the second try; doubled after each,
const PAUSE: Duration = Duration::from_millis(100);
/// up to this.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long a whole exchange may take, however slowly the answer drips.
struct Limits {
    /// A control call.
    control: Duration,
    /// A shard, or a part of one.
    bulk: Duration,
}

const LIMITS: Limits = Limits { control: Duration::from_secs(120), bulk: Duration::from_secs(600) };

/// Why a call brought no answer to use. Every variant names the site.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The site could not be reached.
    #[error("site {site}: {error}")]
    Unreachable {
        /// The site.
        site: SiteName,
        /// Why.
        error: MeshError,
    },
    /// The stream failed, on every try.
    #[error("site {site}: {error}")]
    Stream {
        /// The site.
        site: SiteName,
        /// How.
        error: FrameError,
    },
    /// The site said no.
    #[error("site {site} refuses: {refusal}")]
    Refused {
        /// The site.
        site: SiteName,
        /// Why.
        refusal: Refusal,
    },
    /// The site answered something else than what was asked.
    #[error("site {site} answered something else than it was asked: it runs another version, or lies")]
    Unexpected {
        /// The site.
        site: SiteName,
    },
}

impl CallError {
    /// The refusal, if it was one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            Self::Unreachable { .. } | Self::Stream { .. } | Self::Unexpected { .. } => None,
        }
    }
}

/// Who and where a site is; opens links.
#[derive(Clone)]
pub struct Dialer {
    mesh: Mesh,
    name: SiteName,
    identity: PublicKey,
    addresses: Vec<String>,
}

impl Dialer {
    /// A link with a stream of its own; nothing is opened yet.
    #[must_use]
    pub fn link(&self) -> Link {
        Link { dialer: self.clone(), stream: None }
    }

    async fn open(&self) -> Result<libp2p::Stream, CallError> {
        let unreachable = |error| CallError::Unreachable { site: self.name.clone(), error };
        let peer = self.mesh.connect(self.identity, &self.addresses).await.map_err(unreachable)?;
        let addresses = || self.addresses.join(", ");
        let opened = tokio::time::timeout(STALL, self.mesh.open_stream(peer)).await;
        let opened = opened.map_err(|_elapsed| unreachable(MeshError::Silent { addresses: addresses() }))?;
        opened.map_err(|reason| unreachable(MeshError::Dial { addresses: addresses(), reason }))
    }
}

/// One stream to one site.
pub struct Link {
    dialer: Dialer,
    stream: Option<libp2p::Stream>,
}

impl Link {
    /// A link to `site`; nothing is opened yet.
    #[must_use]
    pub fn new(mesh: Mesh, site: &Site) -> Self {
        let (name, addresses) = (site.name.clone(), site.addresses.clone());
        Dialer { mesh, name, identity: site.identity, addresses }.link()
    }

    /// Opens further links to the same site.
    #[must_use]
    pub fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// The site's name.
    #[must_use]
    pub fn name(&self) -> &SiteName {
        &self.dialer.name
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// Unreachable, broken on every try, or refused.
    pub async fn call(&mut self, request: &Request) -> Result<Response, CallError> {
        self.exchange(request, &[]).await.map(|(response, _body)| response)
    }

    /// Sends a shard and waits until the site has it on its disk.
    ///
    /// # Errors
    /// As [`Link::call`].
    pub async fn put(&mut self, request: &Request, body: &[u8]) -> Result<(), CallError> {
        let response = self.exchange(request, body).await?.0;
        if response == Response::Done { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Asks for raw bytes, at most `bytes_max`. What they are is the caller's to verify.
    ///
    /// # Errors
    /// As [`Link::call`].
    pub async fn fetch(&mut self, request: &Request, bytes_max: usize) -> Result<Vec<u8>, CallError> {
        let (response, body) = self.exchange_bounded(request, &[], bytes_max).await?;
        if matches!(response, Response::Body { .. }) { Ok(body) } else { Err(self.unexpected()) }
    }

    /// The error for an answer of another kind.
    #[must_use]
    pub fn unexpected(&self) -> CallError {
        CallError::Unexpected { site: self.name().clone() }
    }

    async fn exchange(&mut self, request: &Request, body: &[u8]) -> Result<(Response, Vec<u8>), CallError> {
        self.exchange_bounded(request, body, 0).await
    }

    async fn exchange_bounded(
        &mut self,
        request: &Request,
        body: &[u8],
        bytes_max: usize,
    ) -> Result<(Response, Vec<u8>), CallError> {
        let mut pause = PAUSE;
        let (mut dials, mut streams) = (1, 1);
        loop {
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => match self.dialer.open().await {
                    Ok(stream) => stream,
                    // A site under load drops a handshake now and then; one that is silent is not waited for again.
                    Err(CallError::Unreachable { error, .. }) if dials < DIALS_MAX && error.is_quick() => {
                        tracing::debug!(site = %self.name(), %error, "dialling again");
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(PAUSE_MAX);
                        dials += 1;
                        continue;
                    }
                    Err(error) => return Err(error),
                },
            };
            match exchange_within(&LIMITS, &mut stream, request, body, bytes_max).await {
                Ok((Response::Refused(refusal), _)) => {
                    // A shard that was refused may not have been read to its end: the stream is out of step.
                    self.stream = body.is_empty().then_some(stream);
                    return Err(CallError::Refused { site: self.name().clone(), refusal });
                }
                Ok(answer) => {
                    self.stream = Some(stream);
                    return Ok(answer);
                }
                Err(error @ (FrameError::Io(_) | FrameError::Closed)) if streams < STREAMS_MAX => {
                    tracing::debug!(site = %self.name(), %error, "trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                    streams += 1;
                }
                Err(error) => return Err(CallError::Stream { site: self.name().clone(), error }),
            }
        }
    }
}

/// One request and its answer, in the time that is given to their kind.
async fn exchange_within(
    limits: &Limits,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &Request,
    body: &[u8],
    bytes_max: usize,
) -> Result<(Response, Vec<u8>), FrameError> {
    let limit = if bytes_max == 0 && body.is_empty() { limits.control } else { limits.bulk };
    let exchanged = tokio::time::timeout(limit, exchange_once(stream, request, body, bytes_max)).await;
    exchanged.unwrap_or(Err(FrameError::Stalled))
}

async fn exchange_once(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &Request,
    body: &[u8],
    bytes_max: usize,
) -> Result<(Response, Vec<u8>), FrameError> {
    frame::write_frame(stream, request).await?;
    if !body.is_empty() {
        frame::write_body(stream, body).await?;
    }
    let response: Response = frame::read_frame(stream, FRAME_BYTES_MAX, STALL).await?;
    let Response::Body { bytes } = response else { return Ok((response, Vec::new())) };
    let actual = usize::try_from(bytes).unwrap_or(usize::MAX);
    if actual > bytes_max {
        return Err(FrameError::TooLong { actual, max: bytes_max });
    }
    let body = frame::read_body(stream, actual, Vec::new()).await?;
    Ok((Response::Body { bytes }, body))
}

#[cfg(test)]
mod tests;
