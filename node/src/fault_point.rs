//! Places where a test lets a command die as if by kill -9. Only built with the feature `test-hooks`.

/// Names the environment variable that says at which point to die.
pub const VARIABLE: &str = "LEGATION_TEST_EXIT_AFTER";

/// A point that the program passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultPoint {
    /// A backup has sealed the snapshot and not yet written it to its outbox.
    Seal,
    /// The sealed snapshot is in the outbox; no site has heard of it.
    Outbox,
    /// The first site has answered with its receipt.
    FirstReceipt,
    /// Every site has answered and the outbox is empty; home's chunk index does not know yet.
    Published,
    /// The private copy of an `SQLite` database is made and still has its name.
    ScratchCopy,
    /// A site's machines are given an input.
    Machines,
}

impl FaultPoint {
    const fn name(self) -> &'static str {
        match self {
            Self::Seal => "seal",
            Self::Outbox => "outbox",
            Self::FirstReceipt => "first-receipt",
            Self::Published => "published",
            Self::ScratchCopy => "scratch-copy",
            Self::Machines => "machines",
        }
    }

    /// Dies here, without running anything further, if the test asked for it.
    pub fn pass(self) {
        if self.is_wanted() {
            std::process::abort();
        }
    }

    /// Panics here, on the thread that passes, if the test asked for it.
    ///
    /// # Panics
    /// That is what it is for.
    pub fn panic(self) {
        assert!(!self.is_wanted(), "the test wants a panic at {self:?}");
    }

    fn is_wanted(self) -> bool {
        std::env::var(VARIABLE).is_ok_and(|wanted| wanted == self.name())
    }
}
