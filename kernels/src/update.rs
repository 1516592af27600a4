//! The second half of a step: clipping, Adam, unit decoder rows, and the encoder in bytes, in one pass over the weights.

use crate::backward::Gradient;
use crate::error::Error;
use crate::moments::{Place, Row};
use crate::sae::{Config, Sae};
use crate::simd::{Adam, Kernels};
use crate::step::StepOptions;
use crate::threads;

/// Features that one piece of work updates, where none are packed in panels.
const PIECE: usize = 64;

impl Sae {
    /// Clips, and moves every parameter by Adam. Features that no token touched have the gradient 0: their moments decay.
    pub(crate) fn update(&mut self, gradient: &Gradient<'_>, n: usize, norm: f64, options: &StepOptions) -> Result<(), Error> {
        let Config { d_in, threads, kernels, .. } = self.config;
        let StepOptions { step, beta1, beta2, .. } = *options;
        let clip = if norm > options.max_gradient_norm { options.max_gradient_norm / norm } else { 1.0 };
        let adam = Adam {
            b1: beta1 as f32,
            b2: beta2 as f32,
            c1: (1.0 - beta1) as f32,
            c2: (1.0 - beta2) as f32,
            epsilon: options.epsilon as f32,
            rate: (options.learning_rate / (1.0 - beta1.powf(step))) as f32,
            v_scale: (1.0 / (1.0 - beta2.powf(step)).sqrt()) as f32,
            clip: clip as f32,
        };
        let Some([m, v]) = &mut self.moments else { return Ok(()) };
        let parameters = &mut self.parameters;
        kernels.adam(&adam, &mut parameters.b_dec, &mut m.b_dec, &mut v.b_dec, &gradient.b_dec);

        let mut panels = match self.quantized.get_mut() {
            Some(Some(quantized)) => Some((quantized.screen().features, quantized.panels_mut())),
            _ => None,
        };
        let size = panels.as_ref().map_or(PIECE, |(width, _)| *width);
        let rows = size * d_in;
        let mut thresholds = parameters.threshold.chunks_mut(size).zip(m.threshold.chunks_mut(size)).zip(v.threshold.chunks_mut(size));
        let encoder = parameters.w_enc.chunks_mut(rows).zip(m.w_enc.chunks_mut(rows)).zip(v.w_enc.chunks_mut(rows));
        let decoder = parameters.w_dec.chunks_mut(rows).zip(m.w_dec.chunks_mut(rows)).zip(v.w_dec.chunks_mut(rows));
        let biases = parameters.b_enc.chunks_mut(size).zip(m.b_enc.chunks_mut(size)).zip(v.b_enc.chunks_mut(size));
        let pieces: Vec<_> = encoder
            .zip(decoder)
            .zip(biases)
            .zip(self.tokens_since_fired.chunks_mut(size))
            .map(|all| (all, thresholds.next(), panels.as_mut().and_then(|(_, panels)| panels.next())))
            .enumerate()
            .collect();
        threads::map(threads, pieces, |(piece, (all, threshold, mut panel))| {
            let (((((w_enc, mut m_enc), mut v_enc), ((w_dec, mut m_dec), mut v_dec)), ((b_enc, m_bias), v_bias)), since) = all;
            let zeros = vec![0f32; d_in];
            let mut bytes = vec![0u8; if panel.is_some() { d_in } else { 0 }];
            let mut of_bias = vec![0f32; since.len()];
            let mut of_threshold = vec![0f32; since.len()];
            let first = piece * size;
            let mut slot = gradient.touched.partition_point(|&i| (i as usize) < first);
            for (j, since) in since.iter_mut().enumerate() {
                let i = first + j;
                let row = j * d_in..(j + 1) * d_in;
                let (mut g_enc, mut g_dec) = (&zeros[..], &zeros[..]);
                let mut fired = false;
                if gradient.touched.get(slot) == Some(&(i as u32)) {
                    g_enc = &gradient.w_enc[slot * d_in..][..d_in];
                    g_dec = &gradient.w_dec[slot * d_in..][..d_in];
                    of_bias[j] = gradient.b_enc[slot];
                    of_threshold[j] = gradient.threshold.get(slot).copied().unwrap_or_default();
                    fired = gradient.fired[slot];
                    slot += 1;
                }
                let place = |matrix: u32| Place { step: step as u32, row: i as u32, matrix };
                let (enc, dec) = (&mut w_enc[row.clone()], &mut w_dec[row.clone()]);
                let range = row.clone();
                Row { w: enc, m: &mut m_enc, v: &mut v_enc, range, place: place(0) }.update(&kernels, &adam, g_enc);
                Row { w: dec, m: &mut m_dec, v: &mut v_dec, range: row, place: place(1) }.update(&kernels, &adam, g_dec);
                if options.unit_decoder {
                    normalise(&kernels, dec);
                }
                if let Some(panel) = &mut panel {
                    panel.write(j, enc, &mut bytes);
                }
                *since = if fired { 0.0 } else { *since + n as f32 };
            }
            if let Some(panel) = &mut panel {
                panel.finish();
            }
            kernels.adam(&adam, b_enc, m_bias, v_bias, &of_bias);
            if let Some(((threshold, m), v)) = threshold {
                kernels.adam(&adam, threshold, m, v, &of_threshold);
                threshold.iter_mut().for_each(|threshold| *threshold = threshold.max(0.0));
            }
        });
        Ok(())
    }
}

/// Scales `w` to unit norm.
fn normalise(kernels: &Kernels, w: &mut [f32]) {
    let norm = kernels.dot(w, w).sqrt();
    if norm > 0.0 {
        kernels.scale(w, 1.0 / norm);
    }
}
