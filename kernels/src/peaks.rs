//! What this machine can do at best, to compare with what the kernels do.

use std::time::Instant;

use crate::buffer::Buffer;
use crate::error::Error;
use crate::simd::Kernels;
use crate::threads;

/// Per second, of all threads together.
#[derive(Clone, Copy, Debug)]
pub struct Peaks {
    /// Operations on bytes, of which a product and its addition are two; none where nothing is screened.
    pub bytes: Option<f64>,
    /// Operations on f32.
    pub f32: f64,
    /// Bytes read from memory and written to it.
    pub bandwidth: f64,
}

/// The best of several tries of about ten milliseconds each.
pub fn measure(kernels: &Kernels, count: usize) -> Result<Peaks, Error> {
    const TRIES: usize = 9;
    const ROUNDS: usize = 1 << 20;
    /// Larger than any cache.
    const NUMBERS: usize = 32 << 20;
    let best = |work: &mut dyn FnMut() -> f64| {
        let rates = (0..TRIES).map(|_| {
            let start = Instant::now();
            work() / start.elapsed().as_secs_f64()
        });
        rates.fold(0.0, f64::max)
    };
    let each = |work: &(dyn Fn() -> u64 + Sync)| threads::map(count, 0..count, |_| work()).iter().sum::<u64>() as f64;
    let (mut y, x) = (Buffer::zeros(NUMBERS)?, Buffer::zeros(NUMBERS)?);
    Ok(Peaks {
        bytes: kernels.screen.map(|screen| best(&mut || each(&|| screen.busy(ROUNDS)))),
        f32: best(&mut || each(&|| kernels.busy(ROUNDS))),
        bandwidth: best(&mut || {
            let pieces = y.chunks_mut(1 << 16).zip(x.chunks(1 << 16));
            threads::map(count, pieces, |(y, x)| kernels.axpy(y, 1.0, x));
            12.0 * NUMBERS as f64
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_within_reason() {
        let peaks = measure(&Kernels::best(), 1).unwrap();
        assert!((1e8..1e13).contains(&peaks.f32) && (1e8..1e13).contains(&peaks.bandwidth), "{peaks:?}");
        assert!(peaks.bytes.is_none_or(|bytes| bytes > peaks.f32), "{peaks:?}");
    }
}
