//! One autoencoder: its configuration, its parameters and Adam's moments, and what can be done with them short of training.

use std::ops::Range;
use std::sync::OnceLock;

use crate::buffer::Buffer;
use crate::decode;
use crate::encode::{self, Activation, Encoder, Rule};
use crate::error::{Error, filled};
use crate::moments::{Moment, Precision};
use crate::quantize::Quantized;
use crate::simd::Kernels;
use crate::sparse::Sparse;
use crate::step::Scratch;
use crate::threads;

#[derive(Clone, Copy)]
pub struct Config {
    pub d_in: usize,
    pub d_sae: usize,
    pub activation: Activation,
    /// Whether b_dec is subtracted from the input before encoding.
    pub apply_b_dec_to_input: bool,
    pub threads: usize,
    pub moments: Precision,
    pub kernels: Kernels,
}

impl Config {
    /// Number of thresholds: of one for each feature, or one for all.
    fn thresholds(&self) -> usize {
        match self.activation {
            Activation::JumpRelu => self.d_sae,
            Activation::BatchTopK(_) => 1,
            Activation::TopK(_) | Activation::Relu => 0,
        }
    }
}

pub struct Parameters {
    /// [dSae, dIn]
    pub w_enc: Buffer<f32>,
    /// [dSae]
    pub b_enc: Vec<f32>,
    /// [dSae, dIn]
    pub w_dec: Buffer<f32>,
    /// [dIn]
    pub b_dec: Vec<f32>,
    /// [dSae] for JumpReLU, [1] for BatchTopK, else [0]
    pub threshold: Vec<f32>,
}

/// First or second moments of the gradient of each parameter.
pub struct Moments {
    pub w_enc: Moment,
    pub b_enc: Vec<f32>,
    pub w_dec: Moment,
    pub b_dec: Vec<f32>,
    pub threshold: Vec<f32>,
}

impl Moments {
    fn zeros(config: &Config) -> Result<Self, Error> {
        let weights = config.d_in * config.d_sae;
        // BatchTopK's threshold follows the data, not a gradient.
        let thresholds = if config.activation == Activation::JumpRelu { config.d_sae } else { 0 };
        Ok(Moments {
            w_enc: Moment::zeros(config.moments, weights)?,
            b_enc: filled(config.d_sae, 0.0)?,
            w_dec: Moment::zeros(config.moments, weights)?,
            b_dec: filled(config.d_in, 0.0)?,
            threshold: filled(thresholds, 0.0)?,
        })
    }
}

/// One state tensor.
enum Tensor<'a> {
    Numbers(&'a [f32]),
    Moment(&'a Moment),
    /// A moment that training has not asked for yet.
    Zeros,
}

pub struct Sae {
    pub config: Config,
    pub parameters: Parameters,
    /// First and second moments, from the first step or checkpoint on: inference needs no memory for them.
    pub moments: Option<[Moments; 2]>,
    /// Tokens since each feature was last active, [dSae]. f32, as it is stored: beyond 2²⁴ it grows to rounding, and never wraps.
    pub tokens_since_fired: Vec<f32>,
    /// The encoder in bytes, from its first use on until it is written to.
    pub quantized: OnceLock<Option<Quantized>>,
    pub(crate) scratch: Scratch,
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
        if let Activation::TopK(k) | Activation::BatchTopK(k) = config.activation
            && !(1..=d_sae).contains(&k)
        {
            return Err(Error::Shape(format!("expected k from 1 to the number of features {d_sae}, found {k}")));
        }
        let weights = d_in
            .checked_mul(d_sae)
            .ok_or_else(|| Error::Memory(format!("{d_sae} features of {d_in} numbers are more than memory can address")))?;
        Ok(Sae {
            config,
            parameters: Parameters {
                w_enc: Buffer::zeros(weights)?,
                b_enc: filled(d_sae, 0.0)?,
                w_dec: Buffer::zeros(weights)?,
                b_dec: filled(d_in, 0.0)?,
                threshold: filled(config.thresholds(), 0.0)?,
            },
            moments: None,
            tokens_since_fired: filled(d_sae, 0.0)?,
            quantized: OnceLock::new(),
            scratch: Scratch::default(),
        })
    }

    /// Makes room for the moments.
    pub(crate) fn prepare(&mut self) -> Result<(), Error> {
        if self.moments.is_none() {
            self.moments = Some([Moments::zeros(&self.config)?, Moments::zeros(&self.config)?]);
        }
        Ok(())
    }

    /// The length of a state tensor, by the name that checkpoints give it: `wEnc`, `m.wEnc`, `v.wEnc`, …, `tokensSinceFired`.
    pub(crate) fn length(&self, name: &str) -> Option<usize> {
        let (parameter, is_moment) = name.strip_prefix("m.").or(name.strip_prefix("v.")).map_or((name, false), |rest| (rest, true));
        let Config { d_in, d_sae, activation, .. } = self.config;
        match parameter {
            "wEnc" | "wDec" => Some(d_in * d_sae),
            "bEnc" => Some(d_sae),
            "bDec" => Some(d_in),
            "threshold" if is_moment && activation != Activation::JumpRelu => Some(0),
            "threshold" => Some(self.config.thresholds()),
            "tokensSinceFired" if !is_moment => Some(d_sae),
            _ => None,
        }
    }

    /// Where `length` numbers from `start` on lie in a state tensor.
    fn range(&self, name: &str, start: usize, length: usize) -> Result<Range<usize>, Error> {
        let all = self.length(name).ok_or_else(|| Error::Shape(format!("no state tensor has the name {name}")))?;
        match start.checked_add(length).filter(|&end| end <= all) {
            Some(end) => Ok(start..end),
            None => Err(Error::Shape(format!("{length} numbers from {start} on are not in {name}, which has {all}"))),
        }
    }

    fn tensor(&self, name: &str) -> Tensor<'_> {
        let Parameters { w_enc, b_enc, w_dec, b_dec, threshold } = &self.parameters;
        let which = match name.as_bytes() {
            [b'm', b'.', ..] => 0,
            [b'v', b'.', ..] => 1,
            _ => {
                return Tensor::Numbers(match name {
                    "wEnc" => w_enc,
                    "bEnc" => b_enc,
                    "wDec" => w_dec,
                    "bDec" => b_dec,
                    "threshold" => threshold,
                    _ => &self.tokens_since_fired,
                });
            }
        };
        let Some(moments) = &self.moments else { return Tensor::Zeros };
        match &name[2..] {
            "wEnc" => Tensor::Moment(&moments[which].w_enc),
            "wDec" => Tensor::Moment(&moments[which].w_dec),
            "bEnc" => Tensor::Numbers(&moments[which].b_enc),
            "bDec" => Tensor::Numbers(&moments[which].b_dec),
            _ => Tensor::Numbers(&moments[which].threshold),
        }
    }

    /// Copies numbers of a state tensor, from `start` on, to the whole of `to`.
    pub fn read(&self, name: &str, start: usize, to: &mut [f32]) -> Result<(), Error> {
        let range = self.range(name, start, to.len())?;
        match self.tensor(name) {
            Tensor::Numbers(tensor) => to.copy_from_slice(&tensor[range]),
            Tensor::Moment(moment) => moment.read(range, to),
            Tensor::Zeros => to.fill(0.0),
        }
        Ok(())
    }

    /// Overwrites a state tensor from `start` on.
    pub fn write(&mut self, name: &str, values: &[f32], start: usize) -> Result<(), Error> {
        let range = self.range(name, start, values.len())?;
        if name == "wEnc" {
            self.quantized.take();
        }
        let Parameters { w_enc, b_enc, w_dec, b_dec, threshold } = &mut self.parameters;
        let which = match name.as_bytes() {
            [b'm', b'.', ..] => 0,
            [b'v', b'.', ..] => 1,
            _ => {
                let tensor: &mut [f32] = match name {
                    "wEnc" => w_enc,
                    "bEnc" => b_enc,
                    "wDec" => w_dec,
                    "bDec" => b_dec,
                    "threshold" => threshold,
                    _ => &mut self.tokens_since_fired,
                };
                tensor[range].copy_from_slice(values);
                return Ok(());
            }
        };
        self.prepare()?;
        let Some(moments) = &mut self.moments else { return Ok(()) };
        match &name[2..] {
            "wEnc" => moments[which].w_enc.write(start, values),
            "wDec" => moments[which].w_dec.write(start, values),
            "bEnc" => moments[which].b_enc[range].copy_from_slice(values),
            "bDec" => moments[which].b_dec[range].copy_from_slice(values),
            _ => moments[which].threshold[range].copy_from_slice(values),
        }
        Ok(())
    }

    /// The encoder in bytes, made where it is not there yet.
    pub(crate) fn quantized(&self) -> Result<Option<&Quantized>, Error> {
        if self.quantized.get().is_none() {
            let Config { kernels, threads, d_in, .. } = &self.config;
            // Where two callers come here at a time, both make the same one.
            let _ = self.quantized.set(Quantized::new(kernels, *threads, &self.parameters.w_enc, *d_in)?);
        }
        Ok(self.quantized.get().and_then(Option::as_ref))
    }

    pub(crate) fn encoder<'a>(&'a self, quantized: Option<&'a Quantized>, subset: Option<&'a [u32]>) -> Encoder<'a> {
        Encoder { weights: &self.parameters.w_enc, bias: &self.parameters.b_enc, quantized, subset, d_in: self.config.d_in }
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

    /// `x` as the encoder takes it: b_dec subtracted where it should be, in `shifted`, on cache lines.
    pub(crate) fn shift<'a>(&self, x: &[f32], shifted: &'a mut Buffer<f32>) -> Result<&'a [f32], Error> {
        let Config { d_in, threads, apply_b_dec_to_input, .. } = self.config;
        const ROWS: usize = 256;
        shifted.grow(x.len())?;
        let pieces = shifted[..x.len()].chunks_mut(ROWS * d_in).zip(x.chunks(ROWS * d_in));
        threads::map(if x.len() > ROWS * d_in { threads } else { 1 }, pieces, |(to, from)| match apply_b_dec_to_input {
            true => {
                for (to, from) in to.chunks_mut(d_in).zip(from.chunks(d_in)) {
                    to.iter_mut().zip(from).zip(&self.parameters.b_dec).for_each(|((to, x), b)| *to = x - b);
                }
            }
            false => to.copy_from_slice(from),
        });
        Ok(&shifted[..x.len()])
    }

    /// Activations of `x` [n, dIn].
    pub fn encode(&self, x: &[f32]) -> Result<Sparse, Error> {
        let Config { kernels, threads, activation, .. } = &self.config;
        self.check_input(x)?;
        let mut shifted = Buffer::default();
        let x = self.shift(x, &mut shifted)?;
        let cuts: Vec<f32>;
        let rule = match activation {
            Activation::TopK(k) => Rule::TopK(*k),
            Activation::BatchTopK(_) => Rule::Above(self.parameters.threshold[0].max(0.0)),
            Activation::Relu => Rule::Above(0.0),
            Activation::JumpRelu => {
                cuts = self.parameters.threshold.iter().map(|threshold| threshold.max(0.0)).collect();
                Rule::AboveEach(&cuts)
            }
        };
        encode::encode(kernels, *threads, self.encoder(self.quantized()?, None), rule, x)
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
            decode::add_features(kernels, &self.parameters.w_dec, *d_in, active, range, 0..*d_sae, out);
        });
        Ok(out)
    }
}
