//! What can go wrong, in the words the user will read.

use std::collections::TryReserveError;
use std::fmt;

#[derive(Debug)]
pub enum Error {
    /// Two tensors, or a tensor and the configuration, do not fit together.
    Shape(String),
    /// NaN or infinity where a finite number is required.
    NonFinite(String),
    /// This machine cannot do what was asked for.
    Unsupported(String),
    /// The machine has not the memory that was asked for.
    Memory(String),
}

impl Error {
    /// The `code` of the TypeScript error class that this becomes.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Shape(_) => "E_SHAPE",
            Error::NonFinite(_) => "E_NON_FINITE",
            Error::Unsupported(_) => "E_UNSUPPORTED",
            Error::Memory(_) => "E_MEMORY",
        }
    }
}

impl Error {
    /// `bytes` could not be had.
    pub fn memory(bytes: usize) -> Self {
        Error::Memory(format!("out of memory, for {} MB more: use fewer features, or a smaller batch", bytes >> 20))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Shape(message) | Error::NonFinite(message) | Error::Unsupported(message) | Error::Memory(message) => {
                f.write_str(message)
            }
        }
    }
}

impl std::error::Error for Error {}

impl From<TryReserveError> for Error {
    fn from(_: TryReserveError) -> Self {
        Error::Memory("out of memory: use fewer features, or a smaller batch".to_owned())
    }
}

/// A vector of `n` times `value`, or an error when there is no memory for it.
pub fn filled<T: Clone>(n: usize, value: T) -> Result<Vec<T>, Error> {
    let mut vector = Vec::new();
    vector.try_reserve_exact(n)?;
    vector.resize(n, value);
    Ok(vector)
}
