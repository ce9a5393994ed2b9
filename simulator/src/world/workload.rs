//! Databases that change, and what a snapshot of one is made of: real chunks, real stripes, a real contents root.

use std::collections::{BTreeMap, BTreeSet};

use protocol::contents::{ChunkPlace, ChunkRun, ContentsRoot, ROOT_VERSION};
use protocol::document::Stripe;
use shard_codec::sealing::{ChunkHash, DedupSecret, open_chunk};
use shard_codec::{
    CodingParameters, Compression, Compressor, Decompressor, Digest, EncodedStripe, Reference, StripeBuilder,
    encode_stripe,
};

use super::random::Stream;

/// Pages of a database; a snapshot changes one of them.
const PAGES: u64 = 3;

#[derive(Debug)]
struct Page {
    plaintext: Vec<u8>,
    place: Option<ChunkPlace>,
}

/// One database at home.
#[derive(Debug)]
pub struct Source {
    secret: DedupSecret,
    pages: Vec<Page>,
    /// Data shards of each stripe that home stored, by number.
    pub stripes: BTreeMap<u64, u8>,
    change_bytes: u32,
    changes: u64,
}

/// What goes into a manifest and to the sites.
#[derive(Debug)]
pub struct Packed {
    /// The stripe that is new, if any page had to be stored.
    pub stripe: Option<(Stripe, EncodedStripe)>,
    /// Numbers of all stripes that the snapshot refers to.
    pub referenced: BTreeSet<u64>,
    /// What the snapshot key opens.
    pub root: ContentsRoot,
    /// Digest over all of the plaintext.
    pub plaintext: Digest,
}

impl Source {
    /// A database of so many bytes a page.
    pub fn new(change_bytes: u32, stream: &mut Stream) -> Self {
        let secret = DedupSecret::random(stream.crypto());
        let mut source = Self { secret, pages: Vec::new(), stripes: BTreeMap::new(), change_bytes, changes: 0 };
        for _ in 0..PAGES {
            let plaintext = source.fresh_page(stream);
            source.pages.push(Page { plaintext, place: None });
        }
        source
    }

    fn fresh_page(&self, stream: &mut Stream) -> Vec<u8> {
        let words = self.change_bytes.div_ceil(8);
        let mut page: Vec<u8> = (0..words).flat_map(|_| stream.below(u64::MAX).to_le_bytes()).collect();
        page.truncate(usize::try_from(self.change_bytes).unwrap_or(usize::MAX));
        page
    }

    /// One page changes.
    pub fn change(&mut self, stream: &mut Stream) {
        let plaintext = self.fresh_page(stream);
        let position = usize::try_from(self.changes % PAGES).unwrap_or(0);
        self.changes += 1;
        if let Some(page) = self.pages.get_mut(position) {
            *page = Page { plaintext, place: None };
        }
    }

    /// Packs what is not stored yet, or no longer as the charter wants it, into one stripe of this number.
    ///
    /// # Errors
    /// What the codec refuses.
    pub fn pack(
        &mut self,
        coding: CodingParameters,
        usable: &BTreeSet<u64>,
        number: u64,
        stream: &mut Stream,
    ) -> Result<Packed, String> {
        let (mut compressor, mut run, mut whole) = (Compressor::new(), ChunkRun::default(), Vec::new());
        let room = self.pages.iter().map(|page| page.plaintext.len() + 64).sum();
        let mut builder = StripeBuilder::new(coding, room).map_err(|error| error.to_string())?;
        for page in &mut self.pages {
            whole.extend_from_slice(&page.plaintext);
            if page.place.is_none_or(|place| !usable.contains(&place.stripe_number)) {
                let hash = ChunkHash::of(&self.secret, &page.plaintext);
                let sealed =
                    builder.seal(&hash, &page.plaintext, Compression::Stored, &mut compressor, stream.crypto());
                let range = sealed.map_err(|error| error.to_string())?.ok_or("a page does not fit")?;
                let bytes = |count: usize| u32::try_from(count).map_err(|error| error.to_string());
                page.place = Some(ChunkPlace {
                    hash: hash.expose(|bytes| *bytes),
                    stripe_number: number,
                    offset: bytes(range.start)?,
                    sealed_bytes: bytes(range.len())?,
                    plaintext_bytes: bytes(page.plaintext.len())?,
                });
            }
            page.place.iter().for_each(|place| run.push(place));
        }
        let referenced = self.pages.iter().filter_map(|page| page.place).map(|place| place.stripe_number).collect();
        let stripe = if builder.is_empty() { None } else { Some(code(coding, builder, number)?) };
        let root = ContentsRoot {
            version: ROOT_VERSION,
            dedup_secret: self.secret.expose(|bytes| *bytes),
            depth: 0,
            chunks: run,
            entry_count: PAGES,
            plaintext_bytes: whole.len() as u64,
        };
        Ok(Packed { stripe, referenced, root, plaintext: Digest::of(&whole) })
    }

    /// What was packed is not stored after all: the next run packs it again.
    pub fn unpack(&mut self, number: u64) {
        for page in &mut self.pages {
            if page.place.is_some_and(|place| place.stripe_number == number) {
                page.place = None;
            }
        }
    }
}

fn code(coding: CodingParameters, builder: StripeBuilder, number: u64) -> Result<(Stripe, EncodedStripe), String> {
    let payload_bytes = u32::try_from(builder.payload_bytes()).map_err(|error| error.to_string())?;
    let reference = Reference::new(coding).map_err(|error| error.to_string())?;
    let encoded = encode_stripe(&reference, builder.finish()).map_err(|error| error.to_string())?;
    let roots = encoded.roots().iter().flat_map(|root| *root.as_bytes()).collect();
    Ok((Stripe { number, payload_bytes, roots }, encoded))
}

/// Opens everything that a root lists, and returns the digest over it. `payload` gives decoded stripes.
///
/// # Errors
/// A stripe that is not there, or a chunk that does not open.
pub fn open_all(root: &ContentsRoot, mut payload: impl FnMut(u64) -> Option<Vec<u8>>) -> Result<Digest, String> {
    let (mut decompressor, mut whole) = (Decompressor::new(), Vec::new());
    let mut payloads: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for place in root.chunks.iter() {
        let number = place.stripe_number;
        if let std::collections::btree_map::Entry::Vacant(vacant) = payloads.entry(number) {
            vacant.insert(payload(number).ok_or_else(|| format!("stripe {number} cannot be put together"))?);
        }
        let range = usize::try_from(place.offset).ok().zip(usize::try_from(place.sealed_bytes).ok());
        let sealed = payloads.get(&number).zip(range).and_then(|(bytes, (at, count))| bytes.get(at..at + count));
        let sealed = sealed.ok_or("a chunk outside its stripe")?;
        let hash = ChunkHash::copy_from(&place.hash).ok_or("no hash")?;
        let plaintext_bytes = usize::try_from(place.plaintext_bytes).map_err(|error| error.to_string())?;
        open_chunk(&hash, sealed, plaintext_bytes, &mut decompressor, &mut whole).map_err(|error| error.to_string())?;
    }
    Ok(Digest::of(&whole))
}
