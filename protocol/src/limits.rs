//! Bounds on everything that comes from outside, checked before anything is allocated for it.

/// Officials of a state at the most.
pub const OFFICIALS_MAX: usize = 255;
/// Sites of a state at the most.
pub const SITES_MAX: usize = 255;
/// Databases of a state at the most.
pub const DATABASES_MAX: usize = 1_000;
/// Declared alliances of a state at the most.
pub const ALLIANCES_MAX: usize = 64;
/// Signatures on one document at the most.
pub const SIGNATURES_MAX: usize = 2 * OFFICIALS_MAX;
/// A recovery point objective in seconds at the most: a year.
pub const RPO_SECONDS_MAX: u64 = 366 * 86_400;
/// Days between two epochs of shares at the most: ten years.
pub const REFRESH_DAYS_MAX: u16 = 3_660;
/// Addresses of one site at the most.
pub const ADDRESSES_MAX: usize = 16;
/// Free text (names of people, reasons) in bytes at the most.
pub const TEXT_BYTES_MAX: usize = 512;

/// A charter in bytes at the most: 255 sites of about 1.5 KiB, and the databases.
pub const CHARTER_BYTES_MAX: usize = 2 << 20;
/// A manifest in bytes at the most: about 70,000 new stripes (1.1 TiB) in seven shards.
pub const MANIFEST_BYTES_MAX: usize = 16 << 20;
/// The highest number of a stripe: a writer that skips ahead must not use the numbers up.
pub const STRIPE_NUMBER_MAX: u64 = 1 << 48;
/// Any other document in bytes at the most.
pub const DOCUMENT_BYTES_MAX: usize = 64 << 10;
/// Shares that a helper blinds in one recovery, times the threshold, at the most: a tenth of a second of its time.
pub const RECOVERY_SHARES_MAX: usize = 512;
/// Threshold of shares that can be given to other custodians at the most: it bounds what one dealing costs.
pub const RESHARING_THRESHOLD_MAX: usize = 64;
/// A dealing, or a proposal, in bytes at the most: 32 snapshots, 64 commitments of 32 bytes, 255 custodians and their digests.
pub const RESHARING_BYTES_MAX: usize = 128 << 10;
/// Runs of numbers in an inventory at the most: three lists of them, and one of [`LET_GO_RUNS_MAX`], fit the document.
pub const INVENTORY_RUNS_MAX: usize = 1_024;
/// Runs of snapshots that a site says are let go at the most: eleven years in which one a day is kept.
pub const LET_GO_RUNS_MAX: usize = PAGE_ENTRIES_MAX;
/// An inventory in bytes at the most.
pub const INVENTORY_BYTES_MAX: usize = 160 << 10;
/// A sealed root in bytes at the most.
pub const SEALED_ROOT_BYTES_MAX: usize = 256 << 10;
/// A sealed share in bytes at the most (X-Wing encapsulation 1120, share 65, tag 16).
pub const SEALED_SHARE_BYTES_MAX: usize = 2 << 10;

/// A frame from a peer that is not in the charter, in bytes: one release order.
pub const STRANGER_FRAME_BYTES_MAX: usize = DOCUMENT_BYTES_MAX + 1024;
/// A frame from a site or a writer, in bytes: one manifest with its envelope.
pub const FRAME_BYTES_MAX: usize = MANIFEST_BYTES_MAX + (1 << 20);
/// Entries of any list in one answer at the most; a longer list is asked for page by page.
pub const PAGE_ENTRIES_MAX: usize = 4_096;
/// Pages that a site puts together to one run of manifests at the most, until it comes to one that vouches for it.
pub const RUN_PAGES_MAX: usize = 4;
/// Manifests of one run at the most.
pub const RUN_ENTRIES_MAX: usize = RUN_PAGES_MAX * PAGE_ENTRIES_MAX;
/// Manifests of one run in bytes at the most.
pub const RUN_BYTES_MAX: usize = RUN_PAGES_MAX * FRAME_BYTES_MAX;
