//! Activations as they travel between the phases: by token, and by feature.

use crate::error::{Error, filled};
use crate::threads;

/// Compressed sparse rows: the entries of row r are at `starts[r]` … `starts[r + 1] − 1`, in ascending order of index.
/// Rows are tokens and indices features, or, after [`Sparse::transpose`], the other way round.
#[derive(Debug, Default, PartialEq)]
pub struct Sparse {
    pub starts: Vec<usize>,
    pub indices: Vec<u32>,
    pub values: Vec<f32>,
}

impl Sparse {
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    pub fn entries(&self) -> usize {
        self.indices.len()
    }

    /// The indices and values of row `r`.
    pub fn row(&self, r: usize) -> (&[u32], &[f32]) {
        let range = self.starts[r]..self.starts[r + 1];
        (&self.indices[range.clone()], &self.values[range])
    }

    /// The rows of all `blocks`, one below the other.
    pub fn concatenate(blocks: &[Sparse], threads: usize) -> Result<Sparse, Error> {
        let (rows, entries) = blocks.iter().fold((0, 0), |(r, e), block| (r + block.rows(), e + block.entries()));
        let mut all = Sparse { starts: filled(rows + 1, 0)?, indices: filled(entries, 0)?, values: filled(entries, 0.0)? };
        let mut pieces = Vec::with_capacity(blocks.len());
        let (mut starts, mut indices, mut values) = (&mut all.starts[1..], &mut all.indices[..], &mut all.values[..]);
        let mut done = 0;
        for block in blocks {
            let (of_starts, of_indices, of_values);
            (of_starts, starts) = starts.split_at_mut(block.rows());
            (of_indices, indices) = indices.split_at_mut(block.entries());
            (of_values, values) = values.split_at_mut(block.entries());
            pieces.push((block, done, of_starts, of_indices, of_values));
            done += block.entries();
        }
        threads::map(threads, pieces, |(block, done, starts, indices, values)| {
            for (to, start) in starts.iter_mut().zip(&block.starts[1..]) {
                *to = done + start;
            }
            indices.copy_from_slice(&block.indices);
            values.copy_from_slice(&block.values);
        });
        Ok(all)
    }

    /// Only the entries, by index and value, that pass.
    pub fn filter(&self, passes: impl Fn(u32, f32) -> bool) -> Result<Sparse, Error> {
        let mut kept = Sparse { starts: filled(self.starts.len(), 0)?, ..Sparse::default() };
        kept.indices.try_reserve(self.entries())?;
        kept.values.try_reserve(self.entries())?;
        for r in 0..self.rows() {
            let (indices, values) = self.row(r);
            for (&i, &value) in indices.iter().zip(values) {
                if passes(i, value) {
                    kept.indices.push(i);
                    kept.values.push(value);
                }
            }
            kept.starts[r + 1] = kept.indices.len();
        }
        Ok(kept)
    }

    /// Only the `keep` largest entries; of equal ones, the first.
    pub fn largest(self, keep: usize) -> Result<Sparse, Error> {
        if self.entries() <= keep {
            return Ok(self);
        }
        if keep == 0 {
            return Ok(Sparse { starts: filled(self.starts.len(), 0)?, ..Sparse::default() });
        }
        let mut values = filled(self.entries(), 0.0)?;
        values.copy_from_slice(&self.values);
        let least = *values.select_nth_unstable_by(keep - 1, |a, b| b.total_cmp(a)).1;
        let mut equal = keep - values.iter().filter(|&&value| value > least).count();
        let mut kept = Sparse { starts: filled(self.starts.len(), 0)?, indices: filled(keep, 0)?, values: filled(keep, 0.0)? };
        let mut at = 0;
        for r in 0..self.rows() {
            let (indices, values) = self.row(r);
            for (&i, &value) in indices.iter().zip(values) {
                if value > least || (value == least && equal > 0) {
                    equal -= usize::from(value == least);
                    (kept.indices[at], kept.values[at]) = (i, value);
                    at += 1;
                }
            }
            kept.starts[r + 1] = at;
        }
        Ok(kept)
    }

    /// The same entries by column, of which there are `columns`.
    pub fn transpose(&self, columns: usize, threads: usize) -> Result<Sparse, Error> {
        let mut starts = filled(columns + 1, 0usize)?;
        for &i in &self.indices {
            starts[i as usize + 1] += 1;
        }
        for i in 0..columns {
            starts[i + 1] += starts[i];
        }
        let mut indices = filled(self.entries(), 0u32)?;
        let mut values = filled(self.entries(), 0f32)?;

        // Each thread fills a range of columns that holds its share of the entries.
        let mut pieces = Vec::with_capacity(threads);
        let (mut indices_left, mut values_left) = (&mut indices[..], &mut values[..]);
        let mut first = 0;
        for piece in 1..=threads {
            let goal = self.entries() / threads * piece;
            let last = match piece == threads {
                true => columns,
                false => starts.partition_point(|&s| s < goal).clamp(first, columns),
            };
            let length = starts[last] - starts[first];
            let (indices, indices_rest) = indices_left.split_at_mut(length);
            let (values, values_rest) = values_left.split_at_mut(length);
            (indices_left, values_left) = (indices_rest, values_rest);
            pieces.push((first..last, indices, values));
            first = last;
        }
        threads::map(threads, pieces, |(range, indices, values)| {
            let offset = starts[range.start];
            let mut next: Vec<usize> = starts[range.clone()].iter().map(|s| s - offset).collect();
            for r in 0..self.rows() {
                let (row, row_values) = self.row(r);
                let from = row.partition_point(|&i| (i as usize) < range.start);
                for (&i, &value) in row[from..].iter().zip(&row_values[from..]) {
                    if i as usize >= range.end {
                        break;
                    }
                    let at = &mut next[i as usize - range.start];
                    indices[*at] = r as u32;
                    values[*at] = value;
                    *at += 1;
                }
            }
        });
        Ok(Sparse { starts, indices, values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposes_and_back() {
        // [[0, 5, 0, 6], [0, 0, 0, 0], [7, 8, 0, 9]]
        let rows = Sparse { starts: vec![0, 2, 2, 5], indices: vec![1, 3, 0, 1, 3], values: vec![5.0, 6.0, 7.0, 8.0, 9.0] };
        for threads in [1, 2, 3, 7] {
            let columns = rows.transpose(4, threads).unwrap();
            assert_eq!(columns.starts, [0, 1, 3, 3, 5]);
            assert_eq!(columns.indices, [2, 0, 2, 0, 2]);
            assert_eq!(columns.values, [7.0, 5.0, 8.0, 6.0, 9.0]);
            assert_eq!(columns.transpose(3, threads).unwrap(), rows);
        }
    }
}
