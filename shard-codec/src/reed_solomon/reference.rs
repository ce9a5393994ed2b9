//! The code of the crate `reed-solomon-erasure`: its matrix, and its kernel where the processor has it.
//!
//! The crate's C kernel picks its instructions when it is compiled (AVX2 on x86-64), so it is called only where the
//! running processor has them; elsewhere a table loop gives the same bytes at a fraction of the speed. The matrix is
//! read off the crate by coding unit vectors, never computed here, so it cannot drift.
//!
//! # Source
//! J. S. Plank, *A tutorial on Reed-Solomon coding for fault-tolerance in RAID-like systems*, 1997 (the code);
//! J. S. Plank et al., *Screaming fast Galois field arithmetic using Intel SIMD instructions*, 2013 (the kernel).

#[cfg(test)]
mod tests;

use reed_solomon_erasure::{Field, ReedSolomon, galois_8};

use super::{CodeError, ErasureCode};
use crate::index::{CodingParameters, ShardIndex};

/// Columns coded at a time: inputs and outputs stay in the first-level cache.
const COLUMN_BYTES: usize = 8 << 10;

/// Which loop multiplies a slice by a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kernel {
    /// The crate's C kernel.
    Vector,
    /// A table loop that runs anywhere.
    Portable,
}

impl Kernel {
    /// The fastest that the running processor can execute: the C is compiled for `haswell`.
    fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        let vector = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("movbe")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        // On aarch64 the C needs NEON only, which every such processor has; elsewhere the crate has no C.
        #[cfg(not(target_arch = "x86_64"))]
        let vector = true;
        if vector { Self::Vector } else { Self::Portable }
    }

    /// `output = coefficient * input`, or `output += coefficient * input`.
    fn multiply(self, coefficient: u8, input: &[u8], output: &mut [u8], accumulate: bool) {
        match (self, accumulate) {
            // The crate's kernel indexes the first byte.
            _ if input.is_empty() => {}
            (Self::Vector, true) => galois_8::mul_slice_xor(coefficient, input, output),
            (Self::Vector, false) => galois_8::mul_slice(coefficient, input, output),
            (Self::Portable, true) => Portable::mul_slice_add(coefficient, input, output),
            (Self::Portable, false) => Portable::mul_slice(coefficient, input, output),
        }
    }
}

/// The crate's field without its C kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Portable;

impl Portable {
    #[expect(clippy::indexing_slicing, reason = "a u8 cannot miss a table of 256")]
    fn each(coefficient: u8, input: &[u8], output: &mut [u8], mut combine: impl FnMut(&mut u8, u8)) {
        let mut table = [0; 256];
        for (entry, value) in table.iter_mut().zip(0..=u8::MAX) {
            *entry = galois_8::mul(coefficient, value);
        }
        for (target, &value) in output.iter_mut().zip(input) {
            combine(target, table[usize::from(value)]);
        }
    }
}

impl Field for Portable {
    type Elem = u8;

    const ORDER: usize = 256;

    fn add(a: u8, b: u8) -> u8 {
        galois_8::add(a, b)
    }

    fn mul(a: u8, b: u8) -> u8 {
        galois_8::mul(a, b)
    }

    fn div(a: u8, b: u8) -> u8 {
        galois_8::div(a, b)
    }

    fn exp(a: u8, n: usize) -> u8 {
        galois_8::exp(a, n)
    }

    fn zero() -> u8 {
        0
    }

    fn one() -> u8 {
        1
    }

    fn nth_internal(n: usize) -> u8 {
        <galois_8::Field as Field>::nth_internal(n)
    }

    fn mul_slice(coefficient: u8, input: &[u8], output: &mut [u8]) {
        Self::each(coefficient, input, output, |target, product| *target = product);
    }

    fn mul_slice_add(coefficient: u8, input: &[u8], output: &mut [u8]) {
        Self::each(coefficient, input, output, |target, product| *target ^= product);
    }
}

/// The reference implementation. Every other one must give its bytes.
#[derive(Clone, Debug)]
pub struct Reference {
    parameters: CodingParameters,
    kernel: Kernel,
    /// `[parity_shards][data_shards]`
    parity_rows: Vec<Vec<u8>>,
}

impl Reference {
    /// The code for `parameters`.
    ///
    /// # Errors
    /// Never for valid parameters; [`CodeError::Singular`] if the crate refuses them all the same.
    pub fn new(parameters: CodingParameters) -> Result<Self, CodeError> {
        Ok(Self { parameters, kernel: Kernel::detect(), parity_rows: parity_rows(parameters)? })
    }

    /// The same code by the table loop, as on a processor without the kernel's instructions.
    ///
    /// # Errors
    /// As [`Reference::new`].
    pub fn portable(parameters: CodingParameters) -> Result<Self, CodeError> {
        Ok(Self { kernel: Kernel::Portable, ..Self::new(parameters)? })
    }

    /// The row of the coding matrix that makes shard `index` out of the data shards.
    fn row(&self, index: ShardIndex) -> Result<Vec<u8>, CodeError> {
        let data_shards = self.parameters.data_shards();
        if index.as_usize() < data_shards {
            return Ok((0..data_shards).map(|column| u8::from(column == index.as_usize())).collect());
        }
        let total_shards = self.parameters.total_shards();
        let parity = index.as_usize() - data_shards;
        self.parity_rows.get(parity).cloned().ok_or(CodeError::Index { index, total_shards })
    }

    /// `outputs[i] = sum over j of rows[i][j] * inputs[j]`, a few columns at a time.
    fn combine<'a>(
        &self,
        rows: &[Vec<u8>],
        inputs: &[&[u8]],
        outputs: impl Iterator<Item = &'a mut [u8]>,
    ) -> Result<(), CodeError> {
        let expected = inputs.first().map_or(0, |input| input.len());
        let mut outputs: Vec<&mut [u8]> = outputs.collect();
        let lengths = inputs.iter().map(|input| input.len()).chain(outputs.iter().map(|output| output.len()));
        for actual in lengths {
            if actual != expected {
                return Err(CodeError::ShardBytes { expected, actual });
            }
        }
        for start in (0..expected).step_by(COLUMN_BYTES) {
            let columns = start..expected.min(start + COLUMN_BYTES);
            for (row, output) in rows.iter().zip(&mut outputs) {
                let output = output.get_mut(columns.clone()).unwrap_or_default();
                for (position, (&coefficient, input)) in row.iter().zip(inputs).enumerate() {
                    let input = input.get(columns.clone()).unwrap_or_default();
                    self.kernel.multiply(coefficient, input, output, position > 0);
                }
            }
        }
        Ok(())
    }
}

impl ErasureCode for Reference {
    fn parameters(&self) -> CodingParameters {
        self.parameters
    }

    fn encode(&self, data: &[&[u8]], parity: &mut [&mut [u8]]) -> Result<(), CodeError> {
        let (expected, actual) = (self.parameters.data_shards(), data.len());
        if actual != expected {
            return Err(CodeError::DataShards { expected, actual });
        }
        let (expected, actual) = (self.parameters.parity_shards(), parity.len());
        if actual != expected {
            return Err(CodeError::ParityShards { expected, actual });
        }
        self.combine(&self.parity_rows, data, parity.iter_mut().map(|output| &mut **output))
    }

    fn remake(&self, given: &[(ShardIndex, &[u8])], wanted: &mut [(ShardIndex, &mut [u8])]) -> Result<(), CodeError> {
        let expected = self.parameters.data_shards();
        let Some(given) = given.get(..expected) else {
            return Err(CodeError::TooFew { expected, actual: given.len() });
        };
        for (position, (index, _)) in given.iter().enumerate() {
            if given.iter().take(position).any(|(earlier, _)| earlier == index) {
                return Err(CodeError::Duplicate { index: *index });
            }
        }
        let matrix = given.iter().map(|(index, _)| self.row(*index)).collect::<Result<Vec<_>, _>>()?;
        let inverse = invert(matrix)?;
        let rows = wanted
            .iter()
            .map(|(index, _)| self.row(*index).map(|row| row_times_matrix(&row, &inverse)))
            .collect::<Result<Vec<_>, _>>()?;
        let inputs: Vec<&[u8]> = given.iter().map(|(_, bytes)| *bytes).collect();
        self.combine(&rows, &inputs, wanted.iter_mut().map(|(_, output)| &mut **output))
    }
}

/// Reads the matrix off the crate: the parity of the j-th unit vector is column j.
fn parity_rows(parameters: CodingParameters) -> Result<Vec<Vec<u8>>, CodeError> {
    let (data_shards, parity_shards) = (parameters.data_shards(), parameters.parity_shards());
    if parity_shards == 0 {
        // The crate refuses a code without parity; it is a plain copy.
        return Ok(Vec::new());
    }
    let oracle = ReedSolomon::<Portable>::new(data_shards, parity_shards)
        .map_err(|_refused: reed_solomon_erasure::Error| CodeError::Singular)?;
    // One shard per data shard, one byte per unit vector: the identity matrix.
    let identity: Vec<Vec<u8>> =
        (0..data_shards).map(|row| (0..data_shards).map(|column| u8::from(row == column)).collect()).collect();
    let mut rows = vec![vec![0; data_shards]; parity_shards];
    oracle.encode_sep(&identity, &mut rows).map_err(|_refused: reed_solomon_erasure::Error| CodeError::Singular)?;
    Ok(rows)
}

fn row_times_matrix(row: &[u8], matrix: &[Vec<u8>]) -> Vec<u8> {
    let mut product = vec![0; matrix.len()];
    for (&coefficient, matrix_row) in row.iter().zip(matrix) {
        add_multiple(&mut product, matrix_row, coefficient);
    }
    product
}

/// `target += coefficient * source`
fn add_multiple(target: &mut [u8], source: &[u8], coefficient: u8) {
    for (target, &source) in target.iter_mut().zip(source) {
        *target ^= galois_8::mul(coefficient, source);
    }
}

/// Gauss-Jordan elimination of a square matrix beside the identity.
#[expect(clippy::indexing_slicing, reason = "every index is below the side of a square matrix")]
fn invert(mut matrix: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, CodeError> {
    let side = matrix.len();
    for (position, row) in matrix.iter_mut().enumerate() {
        row.extend((0..side).map(|column| u8::from(column == position)));
    }
    for pivot in 0..side {
        let below = (pivot..side).find(|row| matrix[*row][pivot] != 0).ok_or(CodeError::Singular)?;
        matrix.swap(pivot, below);
        let scale = galois_8::div(1, matrix[pivot][pivot]);
        let pivot_row: Vec<u8> = matrix[pivot].iter().map(|value| galois_8::mul(scale, *value)).collect();
        for (position, row) in matrix.iter_mut().enumerate() {
            if position != pivot && row[pivot] != 0 {
                let coefficient = row[pivot];
                add_multiple(row, &pivot_row, coefficient);
            }
        }
        matrix[pivot] = pivot_row;
    }
    Ok(matrix.into_iter().map(|mut row| row.split_off(side)).collect())
}
