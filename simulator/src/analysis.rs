//! What a planner asks of outcomes: what matters, what else could be chosen, what differs, who could act together, and
//! whether the targets are met.
//!
//! | module | answers |
//! | --- | --- |
//! | [`figures`] | the three figures by which plans are compared |
//! | [`sensitivity`] | which assumption matters: each halved and doubled by itself |
//! | [`sweep`] | other codes: loss against disclosure |
//! | [`quantile`] | quantiles of a distribution, with intervals |
//! | [`compare`] | two outcomes side by side |
//! | [`coalition`] | the fewest jurisdictions, owners, vendors ... that together could read or destroy |
//! | [`verdict`] | targets met, missed or not decided, and which limit binds |
//!
//! Nothing here simulates. Where other models must be estimated, the caller passes the way to do it; passing the same seed
//! each time (common random numbers) makes differences sharper than the intervals say.

pub mod coalition;
pub mod compare;
pub mod figures;
pub mod quantile;
pub mod sensitivity;
pub mod sweep;
pub mod verdict;
