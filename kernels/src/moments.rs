//! Adam's moments of the gradient, in f32 or in bf16.
//!
//! bf16 is the upper half of f32. A moment moves by a thousandth of itself in a step, which is less than bf16 resolves: it is rounded up or down at random,
//! with the probabilities that keep its mean. The randomness is a hash of the step and the place, so that the same run rounds the same way on any machine.

use std::ops::Range;

use crate::buffer::Buffer;
use crate::error::Error;
use crate::simd::{Adam, Kernels};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    F32,
    Bf16,
}

/// A moment of a weight matrix.
pub enum Moment {
    F32(Buffer<f32>),
    Bf16(Buffer<u16>),
}

/// Some rows of it.
pub enum MomentRows<'a> {
    F32(&'a mut [f32]),
    Bf16(&'a mut [u16]),
}

impl Moment {
    pub fn zeros(precision: Precision, n: usize) -> Result<Self, Error> {
        Ok(match precision {
            Precision::F32 => Moment::F32(Buffer::zeros(n)?),
            Precision::Bf16 => Moment::Bf16(Buffer::zeros(n)?),
        })
    }

    pub fn read(&self, range: Range<usize>, to: &mut [f32]) {
        match self {
            Moment::F32(numbers) => to.copy_from_slice(&numbers[range]),
            Moment::Bf16(halves) => to.iter_mut().zip(&halves[range]).for_each(|(to, &half)| *to = widened(half)),
        }
    }

    /// bf16 takes the nearest number: what was read is written back as it was.
    pub fn write(&mut self, start: usize, from: &[f32]) {
        match self {
            Moment::F32(numbers) => numbers[start..start + from.len()].copy_from_slice(from),
            Moment::Bf16(halves) => {
                let nearest = |x: f32| ((x.to_bits() + 0x7fff + ((x.to_bits() >> 16) & 1)) >> 16) as u16;
                halves[start..start + from.len()].iter_mut().zip(from).for_each(|(half, &x)| *half = nearest(x));
            }
        }
    }

    pub fn chunks_mut(&mut self, length: usize) -> Vec<MomentRows<'_>> {
        match self {
            Moment::F32(numbers) => numbers.chunks_mut(length).map(MomentRows::F32).collect(),
            Moment::Bf16(halves) => halves.chunks_mut(length).map(MomentRows::Bf16).collect(),
        }
    }
}

/// Which matrix a row belongs to, for the randomness of its rounding.
#[derive(Clone, Copy)]
pub struct Place {
    pub step: u32,
    pub row: u32,
    /// 0 for the encoder, 1 for the decoder.
    pub matrix: u32,
}

/// A row of weights, with all moments of its matrix's piece, among which its own are at `range`.
pub struct Row<'a, 'b> {
    pub w: &'a mut [f32],
    pub m: &'a mut MomentRows<'b>,
    pub v: &'a mut MomentRows<'b>,
    pub range: Range<usize>,
    pub place: Place,
}

impl Row<'_, '_> {
    /// One Adam update for the gradient `g`.
    pub fn update(self, kernels: &Kernels, adam: &Adam, g: &[f32]) {
        /// Numbers that are widened at a time.
        const CHUNK: usize = 256;
        let Row { w, m, v, range, place } = self;
        match (m, v) {
            (MomentRows::F32(m), MomentRows::F32(v)) => kernels.adam(adam, w, &mut m[range.clone()], &mut v[range], g),
            (MomentRows::Bf16(m), MomentRows::Bf16(v)) => {
                let (mut wide_m, mut wide_v) = ([0f32; CHUNK], [0f32; CHUNK]);
                let (m, v) = (&mut m[range.clone()], &mut v[range]);
                let pieces = w.chunks_mut(CHUNK).zip(g.chunks(CHUNK)).zip(m.chunks_mut(CHUNK).zip(v.chunks_mut(CHUNK)));
                for (c, ((w, g), (m, v))) in pieces.enumerate() {
                    let (wide_m, wide_v) = (&mut wide_m[..w.len()], &mut wide_v[..w.len()]);
                    kernels.widen(m, wide_m);
                    kernels.widen(v, wide_v);
                    kernels.adam(adam, w, wide_m, wide_v, g);
                    kernels.narrow(wide_m, m, seed(place, 0), (c * CHUNK) as u32);
                    kernels.narrow(wide_v, v, seed(place, 1), (c * CHUNK) as u32);
                }
            }
            _ => unreachable!("both moments have one precision"),
        }
    }
}

pub fn widened(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

fn seed(place: Place, moment: u32) -> u32 {
    let mix = |mut x: u32| {
        x ^= x >> 16;
        x = x.wrapping_mul(0x7feb_352d);
        x ^= x >> 15;
        x = x.wrapping_mul(0x846c_a68b);
        x ^ (x >> 16)
    };
    mix(place.step.wrapping_mul(0x9e37_79b1) ^ mix(place.row.wrapping_mul(4).wrapping_add(place.matrix * 2 + moment)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Path;

    #[test]
    fn rounding_keeps_the_mean_and_is_the_same_on_every_path() {
        let x = vec![1.0 + 1.0 / 512.0; 20_000]; // a quarter of the way from 1 to the next number in bf16
        let mut first: Option<Vec<u16>> = None;
        for kernels in Path::ALL.into_iter().filter_map(Kernels::new) {
            let mut halves = vec![0; x.len()];
            kernels.narrow(&x, &mut halves, seed(Place { step: 3, row: 5, matrix: 1 }, 0), 0);
            let mean = halves.iter().map(|&half| f64::from(widened(half))).sum::<f64>() / x.len() as f64;
            assert!((mean - (1.0 + 1.0 / 512.0)).abs() < 1e-4, "{mean}");
            assert_eq!(first.get_or_insert_with(|| halves.clone()), &halves);
        }
    }

    #[test]
    fn what_is_read_can_be_written_back() {
        let mut moment = Moment::zeros(Precision::Bf16, 4).unwrap();
        moment.write(1, &[1.5, -3e-20, 0.1]);
        let mut out = [9.0; 4];
        moment.read(0..4, &mut out);
        assert_eq!(out[..3], [0.0, 1.5, widened(0x9f0e)]);
        let mut again = [0.0; 4];
        moment.write(0, &out);
        moment.read(0..4, &mut again);
        assert_eq!(out, again);
    }
}
