//! What Node sees: one class whose heavy methods run on libuv's threads. `src/sae/kernels/native.ts` is its only caller.
//!
//! That caller hands over private copies of its arrays, which no JavaScript can change while a task reads them, and starts a call only
//! when the one before has ended. The lock keeps `read` and `write` apart from a call in progress.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, RwLock};

use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::encode::Activation;
use crate::error;
use crate::moments::Precision;
use crate::peaks::{self, Peaks};
use crate::sae::{Config, Sae};
use crate::simd::{Kernels, Path};
use crate::sparse::Sparse;
use crate::step::{self, Statistics};

type Shared = Arc<RwLock<Sae>>;

/// Runs `work` on the autoencoder, beside other readers. Errors begin with the code of the TypeScript class that they become.
fn reading<R>(shared: &Shared, work: impl FnOnce(&Sae) -> std::result::Result<R, error::Error>) -> Result<R> {
    let sae = shared.read().map_err(|_| failed_before())?;
    guarded(|| work(&sae))
}

/// Runs `work` on the autoencoder, alone.
fn writing<R>(shared: &Shared, work: impl FnOnce(&mut Sae) -> std::result::Result<R, error::Error>) -> Result<R> {
    let sae = shared.write().map_err(|_| failed_before())?;
    // The guard is dropped by a panic, which poisons the lock: nobody reads what may be half-updated.
    guarded(move || {
        let mut sae = sae;
        work(&mut sae)
    })
}

fn failed_before() -> Error {
    Error::from_reason("E_INTERNAL: an earlier call failed inside the native kernels; make a new engine")
}

fn guarded<R>(work: impl FnOnce() -> std::result::Result<R, error::Error>) -> Result<R> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(error)) => Err(Error::from_reason(format!("{}: {error}", error.code()))),
        Err(panic) => {
            let message = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            Err(Error::from_reason(format!("E_INTERNAL: native kernels: {}", message.unwrap_or("unknown failure"))))
        }
    }
}

/// The instruction sets that this CPU can run, fastest first.
#[napi]
pub fn paths() -> Vec<String> {
    Path::ALL.into_iter().filter(|path| path.is_available()).map(|path| path.name().to_owned()).collect()
}

/// `KernelPeaks` of native.ts.
#[napi(object, object_from_js = false)]
pub struct NativePeaks {
    pub int8: Option<f64>,
    pub f32: f64,
    pub bandwidth: f64,
}

pub struct MeasurePeaks {
    threads: usize,
}

impl Task for MeasurePeaks {
    type Output = Peaks;
    type JsValue = NativePeaks;

    fn compute(&mut self) -> Result<Self::Output> {
        guarded(|| peaks::measure(&Kernels::best(), self.threads))
    }

    fn resolve(&mut self, _: Env, peaks: Self::Output) -> Result<Self::JsValue> {
        Ok(NativePeaks { int8: peaks.bytes, f32: peaks.f32, bandwidth: peaks.bandwidth })
    }
}

/// What this machine can do at best.
#[napi(ts_return_type = "Promise<NativePeaks>")]
pub fn peaks(threads: u32) -> AsyncTask<MeasurePeaks> {
    AsyncTask::new(MeasurePeaks { threads: threads.max(1) as usize })
}

#[napi(object)]
pub struct NativeOptions {
    pub d_in: u32,
    pub d_sae: u32,
    /// `kind` of `Activation` in engine.ts.
    pub activation: String,
    pub k: Option<u32>,
    pub apply_b_dec_to_input: bool,
    pub threads: u32,
    /// `f32` or `bf16`.
    pub moments: String,
    /// One of `paths`; none for the fastest.
    pub path: Option<String>,
}

#[napi]
pub struct NativeSae {
    shared: Shared,
    path: Path,
}

#[napi]
impl NativeSae {
    #[napi(constructor)]
    pub fn new(options: NativeOptions) -> Result<Self> {
        let NativeOptions { d_in, d_sae, activation, k, apply_b_dec_to_input, threads, moments, path } = options;
        guarded(|| {
            let kernels = match &path {
                None => Kernels::best(),
                Some(name) => Path::ALL
                    .into_iter()
                    .find(|path| path.name() == name)
                    .and_then(Kernels::new)
                    .ok_or_else(|| error::Error::Unsupported(format!("this CPU cannot run the {name} kernels")))?,
            };
            let k = k.unwrap_or_default() as usize;
            let sae = Sae::new(Config {
                d_in: d_in as usize,
                d_sae: d_sae as usize,
                activation: match activation.as_str() {
                    "topk" => Activation::TopK(k),
                    "batchtopk" => Activation::BatchTopK(k),
                    "relu" => Activation::Relu,
                    "jumprelu" => Activation::JumpRelu,
                    other => return Err(error::Error::Unsupported(format!("no activation has the name {other}"))),
                },
                apply_b_dec_to_input,
                threads: threads as usize,
                moments: if moments == "bf16" { Precision::Bf16 } else { Precision::F32 },
                kernels,
            })?;
            Ok(NativeSae { shared: Arc::new(RwLock::new(sae)), path: kernels.path })
        })
    }

    #[napi(getter)]
    pub fn path(&self) -> &str {
        self.path.name()
    }

    /// Fills `to`, which is JavaScript's own memory: memory of ours would be given back only when the event loop turns.
    #[napi]
    pub fn read(&self, tensor: String, start: i64, mut to: Float32ArraySlice<'_>) -> Result<()> {
        // SAFETY: the array is fresh, and JavaScript stands still meanwhile.
        let to = unsafe { to.as_mut() };
        reading(&self.shared, |sae| sae.read(&tensor, start.max(0) as usize, to))
    }

    #[napi]
    pub fn write(&self, tensor: String, values: &[f32], start: i64) -> Result<()> {
        writing(&self.shared, |sae| sae.write(&tensor, values, start.max(0) as usize))
    }

    #[napi(ts_return_type = "Promise<NativeFeatures>")]
    pub fn encode(&self, x: Float32Array) -> AsyncTask<Encode> {
        AsyncTask::new(Encode { shared: self.shared.clone(), x })
    }

    #[napi(ts_return_type = "Promise<Float32Array>")]
    pub fn decode(&self, indptr: Uint32Array, indices: Uint32Array, values: Float32Array) -> AsyncTask<Decode> {
        AsyncTask::new(Decode { shared: self.shared.clone(), indptr, indices, values })
    }

    #[napi(ts_return_type = "Promise<StepStatistics>")]
    pub fn step(&self, x: Float32Array, options: StepOptions) -> AsyncTask<Step> {
        let options = step::StepOptions {
            step: options.step,
            learning_rate: options.learning_rate,
            beta1: options.beta1,
            beta2: options.beta2,
            epsilon: options.epsilon,
            max_gradient_norm: options.max_gradient_norm,
            l1: options.l1,
            l0: options.l0,
            bandwidth: options.bandwidth,
            threshold_rate: options.threshold_rate,
            prefixes: options.prefixes,
            unit_decoder: options.unit_decoder,
            dead_after: options.dead_after,
            aux_coefficient: options.aux_coefficient,
            aux_k: options.aux_k as usize,
        };
        AsyncTask::new(Step { shared: self.shared.clone(), x, options })
    }
}

pub struct Encode {
    shared: Shared,
    x: Float32Array,
}

#[napi(object, object_from_js = false)]
pub struct NativeFeatures {
    pub indptr: Uint32Array,
    pub indices: Uint32Array,
    pub values: Float32Array,
}

impl Task for Encode {
    type Output = (Vec<u32>, Sparse);
    type JsValue = NativeFeatures;

    fn compute(&mut self) -> Result<Self::Output> {
        reading(&self.shared, |sae| {
            let active = sae.encode(&self.x)?;
            let indptr = active.starts.iter().map(|&s| u32::try_from(s)).collect::<std::result::Result<_, _>>();
            let indptr = indptr.map_err(|_| {
                error::Error::Memory(format!("{} active pairs are more than a CSR of 32 bits holds: encode fewer tokens", active.entries()))
            })?;
            Ok((indptr, active))
        })
    }

    fn resolve(&mut self, _: Env, (indptr, active): Self::Output) -> Result<Self::JsValue> {
        Ok(NativeFeatures { indptr: indptr.into(), indices: active.indices.into(), values: active.values.into() })
    }
}

pub struct Decode {
    shared: Shared,
    indptr: Uint32Array,
    indices: Uint32Array,
    values: Float32Array,
}

impl Task for Decode {
    type Output = Vec<f32>;
    type JsValue = Float32Array;

    fn compute(&mut self) -> Result<Self::Output> {
        reading(&self.shared, |sae| {
            sae.decode(&Sparse {
                starts: self.indptr.iter().map(|&s| s as usize).collect(),
                indices: self.indices.to_vec(),
                values: self.values.to_vec(),
            })
        })
    }

    fn resolve(&mut self, _: Env, output: Self::Output) -> Result<Self::JsValue> {
        Ok(output.into())
    }
}

/// `StepOptions` of engine.ts.
#[napi(object, object_to_js = false)]
pub struct StepOptions {
    pub step: f64,
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub max_gradient_norm: f64,
    pub l1: f64,
    pub l0: f64,
    pub bandwidth: f64,
    pub threshold_rate: f64,
    pub prefixes: Vec<u32>,
    pub unit_decoder: bool,
    pub dead_after: f64,
    pub aux_coefficient: f64,
    pub aux_k: u32,
}

/// `StepStatistics` of engine.ts.
#[napi(object, object_from_js = false)]
pub struct StepStatistics {
    pub reconstruction: f64,
    pub nested: f64,
    pub sparsity: f64,
    pub auxiliary: f64,
    pub l0: f64,
    pub gradient_norm: f64,
    pub dead: u32,
    pub seconds: StageSeconds,
}

#[napi(object, object_from_js = false)]
pub struct StageSeconds {
    pub encode: f64,
    pub decode: f64,
    pub backward: f64,
    pub update: f64,
}

pub struct Step {
    shared: Shared,
    x: Float32Array,
    options: step::StepOptions,
}

impl Task for Step {
    type Output = Statistics;
    type JsValue = StepStatistics;

    fn compute(&mut self) -> Result<Self::Output> {
        writing(&self.shared, |sae| sae.step(&self.x, &self.options))
    }

    fn resolve(&mut self, _: Env, s: Self::Output) -> Result<Self::JsValue> {
        let step::Seconds { encode, decode, backward, update } = s.seconds;
        Ok(StepStatistics {
            reconstruction: s.reconstruction,
            nested: s.nested,
            sparsity: s.sparsity,
            auxiliary: s.auxiliary,
            l0: s.l0,
            gradient_norm: s.gradient_norm,
            dead: s.dead as u32,
            seconds: StageSeconds { encode, decode, backward, update },
        })
    }
}
