//! One autoencoder: its configuration, its parameters and Adam's moments, and what can be done with them short of training.

use crate::decode;
use crate::encode::{self, Activation, Encoder};
use crate::error::{Error, filled};
use crate::simd::Kernels;
use crate::sparse::Sparse;
use crate::threads;

#[derive(Clone, Copy)]
pub struct Config {
    pub d_in: usize,
    pub d_sae: usize,
    pub activation: Activation,
    /// Whether b_dec is subtracted from the input before encoding.
    pub apply_b_dec_to_input: bool,
    pub threads: usize,
    pub kernels: Kernels,
}

/// One number per parameter: the parameters themselves, or a moment of them.
pub struct Tensors {
    /// [dSae, dIn]
    pub w_enc: Vec<f32>,
    /// [dSae]
    pub b_enc: Vec<f32>,
    /// [dSae, dIn]
    pub w_dec: Vec<f32>,
    /// [dIn]
    pub b_dec: Vec<f32>,
}

impl Tensors {
    fn zeros(d_in: usize, d_sae: usize) -> Result<Self, Error> {
        let weights = d_in
            .checked_mul(d_sae)
            .ok_or_else(|| Error::Memory(format!("{d_sae} features of {d_in} numbers are more than memory can address")))?;
        Ok(Tensors { w_enc: filled(weights, 0.0)?, b_enc: filled(d_sae, 0.0)?, w_dec: filled(weights, 0.0)?, b_dec: filled(d_in, 0.0)? })
    }

    fn get(&self, name: &str) -> Option<&Vec<f32>> {
        match name {
            "wEnc" => Some(&self.w_enc),
            "bEnc" => Some(&self.b_enc),
            "wDec" => Some(&self.w_dec),
            "bDec" => Some(&self.b_dec),
            _ => None,
        }
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut Vec<f32>> {
        match name {
            "wEnc" => Some(&mut self.w_enc),
            "bEnc" => Some(&mut self.b_enc),
            "wDec" => Some(&mut self.w_dec),
            "bDec" => Some(&mut self.b_dec),
            _ => None,
        }
    }
}

pub struct Sae {
    pub config: Config,
    pub parameters: Tensors,
    /// First and second moments of the gradient.
    pub m: Tensors,
    pub v: Tensors,
    /// Tokens since each feature was last active, [dSae]. f32, as it is stored: beyond 2²⁴ it grows to rounding, and never wraps.
    pub tokens_since_fired: Vec<f32>,
}

impl Sae {
    /// An autoencoder of zeros.
    pub fn new(config: Config) -> Result<Self, Error> {
        let Config { d_in, d_sae, .. } = config;
        if d_in == 0 || d_sae == 0 {
            return Err(Error::Shape(format!("expected dIn and dSae of at least 1, found {d_in} and {d_sae}")));
        }
        if u32::try_from(d_sae).is_err() {
            return Err(Error::Shape(format!("expected fewer than 2^32 features, found {d_sae}")));
        }
        Ok(Sae {
            config,
            parameters: Tensors::zeros(d_in, d_sae)?,
            m: Tensors::zeros(d_in, d_sae)?,
            v: Tensors::zeros(d_in, d_sae)?,
            tokens_since_fired: filled(d_sae, 0.0)?,
        })
    }

    /// A state tensor by the name that checkpoints give it: `wEnc`, `m.wEnc`, `v.wEnc`, …, `tokensSinceFired`.
    pub fn tensor(&self, name: &str) -> Result<&[f32], Error> {
        let found = match name.split_once('.') {
            Some(("m", name)) => self.m.get(name),
            Some(("v", name)) => self.v.get(name),
            None if name == "tokensSinceFired" => Some(&self.tokens_since_fired),
            None => self.parameters.get(name),
            Some(_) => None,
        };
        found.map(Vec::as_slice).ok_or_else(|| Error::Shape(format!("no state tensor has the name {name}")))
    }

    /// Overwrites a state tensor from `start` on.
    pub fn write(&mut self, name: &str, values: &[f32], start: usize) -> Result<(), Error> {
        let length = self.tensor(name)?.len();
        let tensor = match name.split_once('.') {
            Some(("m", name)) => self.m.get_mut(name),
            Some((_, name)) => self.v.get_mut(name),
            None if name == "tokensSinceFired" => Some(&mut self.tokens_since_fired),
            None => self.parameters.get_mut(name),
        };
        let end = start.checked_add(values.len()).filter(|&end| end <= length);
        match (tensor, end) {
            (Some(tensor), Some(end)) => tensor[start..end].copy_from_slice(values),
            _ => {
                let n = values.len();
                return Err(Error::Shape(format!("{n} numbers from {start} on do not fit {name}, which has {length}")));
            }
        }
        Ok(())
    }

    pub(crate) fn encoder<'a>(&'a self, subset: Option<&'a [u32]>) -> Encoder<'a> {
        Encoder { weights: &self.parameters.w_enc, bias: &self.parameters.b_enc, subset, d_in: self.config.d_in }
    }

    /// The number of tokens in `x`, once it is known to be [n, dIn] and finite.
    pub(crate) fn check_input(&self, x: &[f32]) -> Result<usize, Error> {
        let d = self.config.d_in;
        if !x.len().is_multiple_of(d) {
            return Err(Error::Shape(format!("expected rows of {d} numbers, found {} numbers", x.len())));
        }
        // A sum over blocks is quick; only a bad block is searched.
        for (b, block) in x.chunks(1024).enumerate() {
            if block.iter().fold(true, |all, x| all & x.is_finite()) {
                continue;
            }
            if let Some(i) = block.iter().position(|x| !x.is_finite()) {
                let (at, value) = (b * 1024 + i, block[i]);
                let name = if value.is_nan() {
                    "NaN"
                } else if value > 0.0 {
                    "Infinity"
                } else {
                    "-Infinity"
                };
                return Err(Error::NonFinite(format!(
                    "activations: row {}, column {} is {name}. Check the model file and the precision it runs in.",
                    at / d,
                    at % d
                )));
            }
        }
        Ok(x.len() / d)
    }

    /// `x` as the encoder takes it, in `shifted` where b_dec is to be subtracted.
    pub(crate) fn shift<'a>(&self, x: &'a [f32], shifted: &'a mut Vec<f32>) -> Result<&'a [f32], Error> {
        if !self.config.apply_b_dec_to_input {
            return Ok(x);
        }
        *shifted = filled(x.len(), 0.0)?;
        for (to, from) in shifted.chunks_mut(self.config.d_in).zip(x.chunks(self.config.d_in)) {
            for ((to, from), b) in to.iter_mut().zip(from).zip(&self.parameters.b_dec) {
                *to = from - b;
            }
        }
        Ok(shifted)
    }

    /// Activations of `x` [n, dIn].
    pub fn encode(&self, x: &[f32]) -> Result<Sparse, Error> {
        let Config { kernels, threads, activation, .. } = &self.config;
        self.check_input(x)?;
        let mut shifted = Vec::new();
        let x = self.shift(x, &mut shifted)?;
        encode::encode(kernels, *threads, self.encoder(None), *activation, x)
    }

    /// b_dec + Σ f_i W_dec[i], [n, dIn].
    pub fn decode(&self, active: &Sparse) -> Result<Vec<f32>, Error> {
        let Config { d_in, d_sae, kernels, threads, .. } = &self.config;
        if active.indices.len() != active.values.len()
            || active.starts.first() != Some(&0)
            || active.starts.last() != Some(&active.entries())
            || !active.starts.is_sorted()
        {
            return Err(Error::Shape("sparse features whose indptr does not fit their indices and values".to_owned()));
        }
        for t in 0..active.rows() {
            let (indices, _) = active.row(t);
            if !indices.is_sorted() || indices.last().is_some_and(|&i| i as usize >= *d_sae) {
                return Err(Error::Shape(format!("token {t}: expected features in ascending order below {d_sae}")));
            }
        }
        let mut out = filled(active.rows() * d_in, 0f32)?;
        let blocks = out.chunks_mut(decode::BLOCK_TOKENS * d_in).enumerate();
        threads::map(*threads, blocks, |(b, out)| {
            for row in out.chunks_mut(*d_in) {
                row.copy_from_slice(&self.parameters.b_dec);
            }
            let first = b * decode::BLOCK_TOKENS;
            let range = first..first + out.len() / d_in;
            decode::add_features(kernels, &self.parameters.w_dec, *d_in, active, range, out);
        });
        Ok(out)
    }
}
