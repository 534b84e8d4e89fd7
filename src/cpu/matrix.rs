//! Views of row-major `f32` matrices, and their division into tiles that threads may write at the
//! same time.

use std::marker::PhantomData;

/// A read-only view. Rows may overlap (`stride` < `cols`): consecutive frames of a convolution are
/// such rows.
#[derive(Clone, Copy)]
pub struct MatRef<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    stride: usize,
}

impl<'a> MatRef<'a> {
    /// Row i is `data[i * stride..][..cols]`.
    ///
    /// # Panics
    /// Where the last row would not lie in `data`.
    pub fn new(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(
            fits(data.len(), rows, cols, stride),
            "matrix view beyond its data"
        );
        Self {
            data,
            rows,
            cols,
            stride,
        }
    }

    /// Rows that follow each other without gaps.
    pub fn dense(data: &'a [f32], cols: usize) -> Self {
        Self::new(data, data.len() / cols, cols, cols)
    }

    /// Number of rows.
    #[inline(always)]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values of a row.
    #[inline(always)]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Rows `first` to `first + rows`.
    ///
    /// # Panics
    /// Where there are fewer, or none are asked for.
    pub fn part(&self, first: usize, rows: usize) -> Self {
        assert!(
            first <= self.rows && rows <= self.rows - first,
            "a part beyond its matrix view"
        );
        Self {
            data: &self.data[first * self.stride..],
            rows,
            ..*self
        }
    }

    /// Row i.
    #[inline(always)]
    pub fn row(&self, i: usize) -> &'a [f32] {
        &self.data[i * self.stride..][..self.cols]
    }
}

/// A view that can be written, and divided.
pub struct MatMut<'a> {
    // The fields are private: `row` and `tile` trust them.
    data: *mut f32,
    rows: usize,
    cols: usize,
    stride: usize,
    of: PhantomData<&'a mut [f32]>,
}

// SAFETY: a view stands for an exclusive borrow of the values of its rows, as `&mut [f32]` does.
unsafe impl Send for MatMut<'_> {}
// SAFETY: shared access to a view reads nothing but its sizes (`row` takes `&mut self`).
unsafe impl Sync for MatMut<'_> {}

impl<'a> MatMut<'a> {
    /// Row i is `data[i * stride..][..cols]`.
    ///
    /// # Panics
    /// Where rows overlap or the last one would not lie in `data`.
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(cols <= stride, "rows of a writable matrix view overlap");
        assert!(
            fits(data.len(), rows, cols, stride),
            "matrix view beyond its data"
        );
        Self {
            data: data.as_mut_ptr(),
            rows,
            cols,
            stride,
            of: PhantomData,
        }
    }

    /// Rows that follow each other without gaps.
    pub fn dense(data: &'a mut [f32], cols: usize) -> Self {
        let rows = data.len() / cols;
        Self::new(data, rows, cols, cols)
    }

    /// Number of rows.
    #[inline(always)]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values of a row.
    #[inline(always)]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The same view for a shorter time.
    pub fn reborrow(&mut self) -> MatMut<'_> {
        MatMut {
            of: PhantomData,
            ..*self
        }
    }

    /// Rows `first` to `first + rows`.
    ///
    /// # Panics
    /// Where there are fewer.
    pub fn part(&mut self, first: usize, rows: usize) -> MatMut<'_> {
        assert!(
            rows > 0 && first <= self.rows && rows <= self.rows - first,
            "a part beyond its matrix view"
        );
        MatMut {
            // SAFETY: row `first` lies in the view, which `new` checked; the part borrows the view.
            data: unsafe { self.data.add(first * self.stride) },
            rows,
            of: PhantomData,
            ..*self
        }
    }

    /// Row i.
    #[inline(always)]
    pub fn row(&mut self, i: usize) -> &mut [f32] {
        assert!(i < self.rows);
        // SAFETY: `new` checked that row i lies in the borrowed data, and tiles of one view never
        // overlap.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(i * self.stride), self.cols) }
    }

    /// Number of tiles when divided into tiles of `rows` × `cols`.
    pub(super) fn tiles(&self, rows: usize, cols: usize) -> usize {
        self.rows.div_ceil(rows) * self.cols.div_ceil(cols)
    }

    /// Tile `i` of that division with the row and column at which it begins.
    ///
    /// # Safety
    /// While the tile lives, no other tile `i` of this view, and not the view itself, may be read
    /// or written.
    pub(super) unsafe fn tile(
        &self,
        i: usize,
        rows: usize,
        cols: usize,
    ) -> (MatMut<'_>, usize, usize) {
        let across = self.cols.div_ceil(cols);
        let (row, col) = (i / across * rows, i % across * cols);
        assert!(row < self.rows && col < self.cols);
        let tile = MatMut {
            // SAFETY: row and column lie in the view, which `new` checked.
            data: unsafe { self.data.add(row * self.stride + col) },
            rows: rows.min(self.rows - row),
            cols: cols.min(self.cols - col),
            stride: self.stride,
            of: PhantomData,
        };
        (tile, row, col)
    }
}

/// Whether the last of `rows` rows lies in `len` values; sizes whose product overflows do not.
fn fits(len: usize, rows: usize, cols: usize, stride: usize) -> bool {
    let Some(last) = rows.checked_sub(1) else {
        return true;
    };
    let end = last.checked_mul(stride).and_then(|at| at.checked_add(cols));
    end.is_some_and(|end| end <= len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "matrix view beyond its data")]
    fn sizes_that_overflow_are_no_view() {
        MatMut::new(&mut [0.0; 4], (1 << 63) + 1, 2, 2);
    }

    #[test]
    #[should_panic(expected = "a part beyond its matrix view")]
    fn a_part_that_overflows_is_no_part() {
        MatMut::new(&mut [0.0; 4], 2, 2, 2).part(usize::MAX, 1);
    }

    #[test]
    fn views_reach_to_the_end_of_their_data_and_no_further() {
        assert!(fits(4, 2, 2, 2) && fits(0, 0, 9, 9) && !fits(3, 2, 2, 2));
        let mut values = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(
            MatMut::new(&mut values, 2, 2, 2).part(1, 1).row(0),
            [3.0, 4.0]
        );
    }
}
