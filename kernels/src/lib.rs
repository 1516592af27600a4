//! The arithmetic that training and using a sparse autoencoder waits for.
//!
//! Tokens × features is never materialised. [`encode`] works in register tiles whose results go straight into one candidate list per token,
//! and a [`step`] visits only the (token, feature) pairs that are active, or, where most are, a block of tokens at a time. Nothing here knows of Node; [`binding`] is the only file that does.
//!
//! The same input gives the same bytes: work is cut into pieces whose number and order depend on the sizes alone, and sums over pieces
//! are taken in that order. So the number of threads changes nothing but the time.

mod backward;
pub mod binding;
pub mod buffer;
pub mod candidates;
pub mod decode;
mod dense;
pub mod encode;
pub mod error;
pub mod moments;
pub mod peaks;
pub mod quantize;
pub mod sae;
pub mod screen;
pub mod simd;
pub mod sparse;
pub mod step;
pub mod threads;
pub mod tiles;
mod update;
