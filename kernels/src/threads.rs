//! Runs pieces of work side by side on scoped threads.
//!
//! A step has half a dozen parallel phases of milliseconds each, and starting a thread costs some twenty microseconds: a pool would buy nothing.

use std::sync::{Mutex, PoisonError};

/// Applies `work` to every item, on at most `threads` threads, and returns the results in the order of the items.
/// Threads take the next item when they are free, so that uneven items balance.
pub fn map<T: Send, R: Send>(threads: usize, items: impl IntoIterator<Item = T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let items: Vec<T> = items.into_iter().collect();
    let (count, threads) = (items.len(), threads.min(items.len()));
    if threads <= 1 {
        return items.into_iter().map(work).collect();
    }
    let queue = Mutex::new(items.into_iter().enumerate());
    let run = || {
        let mut results = Vec::new();
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((i, item)) = next else { return results };
            results.push((i, work(item)));
        }
    };
    let mut results: Vec<(usize, R)> = Vec::with_capacity(count);
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        results.extend(run());
        for other in others {
            match other.join() {
                Ok(part) => results.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    results.sort_unstable_by_key(|&(i, _)| i);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_keep_the_order_of_the_items() {
        for threads in [1, 2, 3, 8] {
            assert_eq!(super::map(threads, 0..100, |i| i * i), (0..100).map(|i| i * i).collect::<Vec<_>>());
        }
        assert!(super::map(4, std::iter::empty::<u8>(), |i| i).is_empty());
    }

    #[test]
    #[should_panic(expected = "piece 3")]
    fn a_panic_in_a_piece_reaches_the_caller() {
        super::map(2, 0..8, |i| assert!(i != 3, "piece 3"));
    }
}
