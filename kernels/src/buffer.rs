//! Memory for the large arrays: on cache lines, so that no vector load touches two, and on huge pages where there are any, so that reading rows at random
//! does not also search page tables.

use std::alloc::{Layout, alloc, dealloc};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::error::Error;

const LINE: usize = 64;
const HUGE_PAGE: usize = 2 << 20;

/// Smaller ones are not worth asking the system about.
const LARGE: usize = 64 << 20;

/// Bytes of memory that can still be had, where the system says.
fn available() -> Option<usize> {
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<usize>().ok();
    let information = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = information.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let free = line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? << 10;
    // A container's own limit.
    let limit = number("/sys/fs/cgroup/memory.max").zip(number("/sys/fs/cgroup/memory.current"));
    Some(limit.map_or(free, |(most, used)| free.min(most.saturating_sub(used))))
}

/// Numbers that are valid as zero bytes, and need no drop.
pub trait Plain: Copy {}
impl Plain for f32 {}
impl Plain for u16 {}
impl Plain for u8 {}

/// A fixed number of numbers, zeros to begin with.
pub struct Buffer<T: Plain> {
    start: NonNull<T>,
    length: usize,
}

// SAFETY: it owns its memory, as a Vec does.
unsafe impl<T: Plain + Send> Send for Buffer<T> {}
// SAFETY: shared references only read.
unsafe impl<T: Plain + Sync> Sync for Buffer<T> {}

impl<T: Plain> Buffer<T> {
    pub fn zeros(length: usize) -> Result<Self, Error> {
        let layout = Self::layout(length).ok_or_else(|| Error::memory(usize::MAX))?;
        if layout.size() == 0 {
            return Ok(Buffer { start: NonNull::dangling(), length });
        }
        // Where memory is promised freely, a promise that cannot be kept ends the process when the memory is first written.
        if layout.size() >= LARGE && available().is_some_and(|bytes| bytes < layout.size()) {
            return Err(Error::memory(layout.size()));
        }
        // SAFETY: the size is not 0.
        let start = NonNull::new(unsafe { alloc(layout) }).ok_or_else(|| Error::memory(layout.size()))?;
        #[cfg(target_os = "linux")]
        if layout.align() == HUGE_PAGE {
            // SAFETY: advice on memory that was just allocated; where it is not taken, nothing changes.
            unsafe { libc::madvise(start.as_ptr().cast(), layout.size(), libc::MADV_HUGEPAGE) };
        }
        // Written only now: the first touch decides the kind of page.
        // SAFETY: these bytes were just allocated.
        unsafe { start.as_ptr().write_bytes(0, layout.size()) };
        Ok(Buffer { start: start.cast(), length })
    }

    /// Makes it at least `length` long. What it holds then is to be written over.
    pub fn grow(&mut self, length: usize) -> Result<(), Error> {
        if self.length < length {
            *self = Buffer::default(); // freed first
            *self = Buffer::zeros(length)?;
        }
        Ok(())
    }

    fn layout(length: usize) -> Option<Layout> {
        let layout = Layout::array::<T>(length).ok()?;
        layout.align_to(if layout.size() >= 2 * HUGE_PAGE { HUGE_PAGE } else { LINE }).ok()
    }
}

impl<T: Plain> Default for Buffer<T> {
    fn default() -> Self {
        Buffer { start: NonNull::dangling(), length: 0 }
    }
}

impl<T: Plain> Drop for Buffer<T> {
    fn drop(&mut self) {
        if let Some(layout) = Self::layout(self.length).filter(|layout| layout.size() > 0) {
            // SAFETY: allocated in `zeros` with this layout.
            unsafe { dealloc(self.start.as_ptr().cast(), layout) };
        }
    }
}

impl<T: Plain> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: `length` numbers were allocated and zeroed.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl<T: Plain> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lies_on_cache_lines_and_is_zero() {
        for length in [0, 1, 15, 577, (4 << 20) + 3] {
            let mut buffer = Buffer::<f32>::zeros(length).unwrap();
            assert_eq!((buffer.len(), buffer.as_ptr() as usize % if length == 0 { 1 } else { LINE }), (length, 0));
            assert!(buffer.iter().all(|&x| x == 0.0));
            buffer.fill(1.0);
            buffer.grow(length).unwrap();
            assert!(buffer.iter().all(|&x| x == 1.0));
        }
    }

    #[test]
    fn more_than_there_can_be_is_an_error() {
        assert!(matches!(Buffer::<f32>::zeros(usize::MAX / 2), Err(Error::Memory(_))));
        assert!(matches!(Buffer::<f32>::zeros(1 << 60), Err(Error::Memory(_))));
        #[cfg(target_os = "linux")]
        assert!(matches!(Buffer::<u8>::zeros(1 << 42), Err(Error::Memory(_))));
    }
}
