//! Values that may be large: strings and bytes in any of Arrow's layouts, one by one.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryViewBuilder, GenericByteArray, StringViewBuilder};
use arrow::buffer::{Buffer, MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowNativeType, BinaryType, ByteArrayType, DataType, LargeBinaryType, LargeUtf8Type, Utf8Type,
};

use crate::common::{Error, Result};

/// Bytes of a large value that stay in its column, for zone maps: more than a bound has, so that a bound made of heads
/// is that of the values. Of a string up to three more, to the end of a character.
pub const HEAD_LEN: usize = 33;

/// True for columns whose values may lie in blob files.
#[must_use]
pub fn is_separable(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
    )
}

/// An array of such a column.
#[derive(Clone, Copy, Debug)]
pub struct Large<'a>(&'a ArrayRef);

impl<'a> Large<'a> {
    /// `None` for arrays of other types.
    #[must_use]
    pub fn new(array: &'a ArrayRef) -> Option<Self> {
        is_separable(array.data_type()).then_some(Self(array))
    }

    /// The bytes of a value; `None` for a null.
    #[must_use]
    pub fn value(self, row: usize) -> Option<&'a [u8]> {
        let array = self.0;
        if array.is_null(row) {
            return None;
        }
        Some(match array.data_type() {
            DataType::Utf8 => array.as_string::<i32>().value(row).as_bytes(),
            DataType::LargeUtf8 => array.as_string::<i64>().value(row).as_bytes(),
            DataType::Utf8View => array.as_string_view().value(row).as_bytes(),
            DataType::Binary => array.as_binary::<i32>().value(row),
            DataType::LargeBinary => array.as_binary::<i64>().value(row),
            _ => array.as_binary_view().value(row),
        })
    }

    /// True when a value, or what stands under a null, has more than `len` bytes.
    #[must_use]
    pub fn any_longer(self, len: usize) -> bool {
        fn longer<T: ArrowNativeType>(offsets: &[T], len: usize) -> bool {
            offsets.windows(2).any(|pair| pair[1].as_usize() - pair[0].as_usize() > len)
        }
        let array = self.0;
        match array.data_type() {
            DataType::Utf8 => longer(array.as_string::<i32>().value_offsets(), len),
            DataType::LargeUtf8 => longer(array.as_string::<i64>().value_offsets(), len),
            DataType::Binary => longer(array.as_binary::<i32>().value_offsets(), len),
            DataType::LargeBinary => longer(array.as_binary::<i64>().value_offsets(), len),
            DataType::Utf8View => array.as_string_view().lengths().any(|held| held as usize > len),
            _ => array.as_binary_view().lengths().any(|held| held as usize > len),
        }
    }

    /// The first bytes of a value, as a value of its own: whole characters of a string.
    #[must_use]
    pub fn head(self, value: &'a [u8]) -> &'a [u8] {
        let mut end = HEAD_LEN.min(value.len());
        let is_text = matches!(self.0.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        // A byte that goes on a character.
        while is_text && value.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
            end += 1;
        }
        &value[..end]
    }
}

/// A value on its way into an array: bytes that are here, or a buffer that holds no others.
#[derive(Clone, Debug)]
pub(super) enum Piece<'a> {
    Here(&'a [u8]),
    Whole(Buffer),
}

impl Piece<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Here(bytes) => bytes,
            Self::Whole(buffer) => buffer,
        }
    }
}

/// An array of the type and nulls of `like` with other values.
pub(super) fn assemble(like: &ArrayRef, pieces: Vec<Option<Piece<'_>>>) -> Result<ArrayRef> {
    Ok(match like.data_type() {
        DataType::Utf8 => Arc::new(packed::<Utf8Type>(pieces)?),
        DataType::LargeUtf8 => Arc::new(packed::<LargeUtf8Type>(pieces)?),
        DataType::Binary => Arc::new(packed::<BinaryType>(pieces)?),
        DataType::LargeBinary => Arc::new(packed::<LargeBinaryType>(pieces)?),
        DataType::Utf8View => {
            let mut builder = StringViewBuilder::with_capacity(pieces.len());
            for piece in pieces {
                match piece {
                    Some(Piece::Whole(buffer)) => {
                        let (len, block) = (view_len(&buffer)?, builder.append_block(buffer));
                        builder.try_append_view(block, 0, len)?;
                    }
                    Some(Piece::Here(bytes)) => builder.append_value(text(bytes)?),
                    None => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
        DataType::BinaryView => {
            let mut builder = BinaryViewBuilder::with_capacity(pieces.len());
            for piece in pieces {
                match piece {
                    Some(Piece::Whole(buffer)) => {
                        let (len, block) = (view_len(&buffer)?, builder.append_block(buffer));
                        builder.try_append_view(block, 0, len)?;
                    }
                    Some(Piece::Here(bytes)) => builder.append_value(bytes),
                    None => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
        other => return Err(Error::Internal(format!("large values of type {other}"))),
    })
}

fn view_len(buffer: &Buffer) -> Result<u32> {
    let got = buffer.len() as u64;
    let limit = |_| Error::Limit { what: "bytes of one value".into(), got, max: u64::from(u32::MAX) };
    u32::try_from(buffer.len()).map_err(limit)
}

fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| Error::Internal(format!("a string that is none: {error}")))
}

fn packed<T: ByteArrayType>(pieces: Vec<Option<Piece<'_>>>) -> Result<GenericByteArray<T>> {
    let lens = pieces.iter().map(|piece| piece.as_ref().map_or(0, |piece| piece.bytes().len()));
    let total: usize = lens.clone().sum();
    let mut offsets = vec![T::Offset::default()];
    let mut end = 0;
    for len in lens {
        end += len;
        let max = i32::MAX as u64;
        let limit = || Error::Limit { what: "bytes of one column of a batch".into(), got: total as u64, max };
        offsets.push(T::Offset::from_usize(end).ok_or_else(limit)?);
    }
    let nulls = NullBuffer::from_iter(pieces.iter().map(Option::is_some));
    let values = match <[_; 1]>::try_from(pieces) {
        // A lone value stays where it lies.
        Ok([Some(Piece::Whole(buffer))]) => buffer,
        Ok([piece]) => joined(total, &[piece]),
        Err(pieces) => joined(total, &pieces),
    };
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(GenericByteArray::try_new(offsets, values, Some(nulls).filter(|nulls| nulls.null_count() > 0))?)
}

fn joined(total: usize, pieces: &[Option<Piece<'_>>]) -> Buffer {
    let mut values = MutableBuffer::with_capacity(total);
    pieces.iter().flatten().for_each(|piece| values.extend_from_slice(piece.bytes()));
    values.into()
}

/// The same values, but of the rows in `large` the heads.
///
/// # Errors
/// `Internal` for arrays of other types.
pub fn cut(values: &ArrayRef, large: &[bool]) -> Result<ArrayRef> {
    let cells =
        Large::new(values).ok_or_else(|| Error::Internal("heads of a column of another type".into()))?;
    let piece = |row: usize| {
        let value = cells.value(row)?;
        Some(Piece::Here(if large[row] { cells.head(value) } else { value }))
    };
    assemble(values, (0..values.len()).map(piece).collect())
}
