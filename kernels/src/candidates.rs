//! What screening leaves of one token: features that may be kept, with bounds of their pre-activations.

/// What screening knows of the tokens, one number for each, and for those that fill the last tile. Bounds are in steps of the token: divided by
/// [`crate::quantize::Rounded::scale`].
#[derive(Default)]
pub struct Screened {
    /// 1 / scale
    pub inverse: Vec<f32>,
    /// κ_x, with what f32 arithmetic may be off by.
    pub error: Vec<f32>,
    /// ‖q‖
    pub norm: Vec<f32>,
    /// Only features whose upper bound exceeds this are candidates.
    pub threshold: Vec<f32>,
}

/// In the order in which panels were met; the first `count` places are taken.
#[derive(Default)]
pub struct Candidates {
    pub count: usize,
    pub upper: Vec<f32>,
    pub lower: Vec<f32>,
    pub feature: Vec<u32>,
    /// How many are a reason to cut.
    limit: usize,
}

/// Places beyond the limit: for a panel, and a vector.
const SPARE: usize = 64 + 16;

impl Candidates {
    pub fn new(limit: usize) -> Self {
        let mut list = Candidates { limit, ..Candidates::default() };
        list.make_room(if limit < 1 << 16 { limit + SPARE } else { 2 * SPARE });
        list
    }

    /// Places that are not taken.
    pub fn room(&self) -> usize {
        self.upper.len().min(self.lower.len()).min(self.feature.len()) - self.count
    }

    fn make_room(&mut self, places: usize) {
        self.upper.resize(places, 0.0);
        self.lower.resize(places, 0.0);
        self.feature.resize(places, 0);
    }

    /// Has `cut` make room for the next panel, or else takes more.
    pub fn settle(&mut self, cut: impl FnOnce(&mut Self)) {
        if self.count >= self.limit {
            cut(self);
            self.limit = self.limit.max(self.count * 3 / 2);
        }
        if self.room() < SPARE {
            self.make_room(2 * self.count + 2 * SPARE);
        }
    }

    /// Adds those of higher features.
    pub fn append(&mut self, other: &Self) {
        self.make_room(self.count + other.count + SPARE);
        let places = self.count..self.count + other.count;
        self.upper[places.clone()].copy_from_slice(&other.upper[..other.count]);
        self.lower[places.clone()].copy_from_slice(&other.lower[..other.count]);
        self.feature[places].copy_from_slice(&other.feature[..other.count]);
        self.count += other.count;
    }
}
