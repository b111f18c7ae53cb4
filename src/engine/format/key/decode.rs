//! Keys back to columns.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, GenericByteArray, GenericByteViewArray,
    PrimitiveArray,
};
use arrow::datatypes::{
    BinaryType, BinaryViewType, ByteArrayType, ByteViewType, DataType, LargeBinaryType, LargeUtf8Type,
    StringViewType, Utf8Type,
};

use super::encode::{ESCAPE, TERMINATOR};
use super::{FixedKey, KeyCodec, Layout};
use crate::common::{Error, Result};
use crate::format::primitive::with_primitive;

impl KeyCodec {
    /// Columns of the rows with these keys.
    ///
    /// # Errors
    /// `Invalid` when a key was not made by this codec.
    pub fn decode(&self, keys: &BinaryArray) -> Result<Vec<ArrayRef>> {
        self.decode_slices(keys.iter().map(Option::unwrap_or_default).collect())
    }

    /// Columns, of one row each, of the row with this key.
    ///
    /// # Errors
    /// As [`KeyCodec::decode`].
    pub fn decode_one(&self, key: &[u8]) -> Result<Vec<ArrayRef>> {
        self.decode_slices(vec![key])
    }

    fn decode_slices(&self, mut rest: Vec<&[u8]>) -> Result<Vec<ArrayRef>> {
        let last = self.types.len() - 1;
        let mut columns = Vec::with_capacity(self.types.len());
        for (i, (data_type, layout)) in self.types.iter().zip(&self.layouts).enumerate() {
            columns.push(match layout {
                Layout::Fixed(width) => fixed_column(data_type, *width, &mut rest)?,
                Layout::Variable if i == last => {
                    variable_column(data_type, rest.iter_mut().map(std::mem::take))?
                }
                Layout::Variable => {
                    let values = rest.iter_mut().map(unescape).collect::<Result<Vec<_>>>()?;
                    variable_column(data_type, values.iter().map(Vec::as_slice))?
                }
            });
        }
        if rest.iter().any(|bytes| !bytes.is_empty()) {
            return Err(malformed("bytes are left over"));
        }
        Ok(columns)
    }
}

fn malformed(why: &str) -> Error {
    Error::invalid("encoded key", format!("it is not a key of this table: {why}"))
}

fn fixed_column(data_type: &DataType, width: usize, rest: &mut [&[u8]]) -> Result<ArrayRef> {
    let mut heads = Vec::with_capacity(rest.len());
    for bytes in rest {
        let (head, tail) = bytes.split_at_checked(width).ok_or_else(|| malformed("it is too short"))?;
        heads.push(head);
        *bytes = tail;
    }
    with_primitive!(data_type, T => {
        let values = heads.iter().filter_map(|head| FixedKey::take(head));
        Ok(Arc::new(PrimitiveArray::<T>::from_iter_values(values).with_data_type(data_type.clone())))
    }, _ => match data_type {
        DataType::Boolean => Ok(Arc::new(heads.iter().map(|head| Some(head[0] != 0)).collect::<BooleanArray>())),
        _ => {
            let values = heads.concat();
            let len = i32::try_from(width).map_err(|_| malformed("it is too long"))?;
            Ok(Arc::new(FixedSizeBinaryArray::try_new_with_len(len, values.into(), None, heads.len())?))
        }
    })
}

fn unescape(rest: &mut &[u8]) -> Result<Vec<u8>> {
    let mut value = Vec::new();
    loop {
        let zero = rest.iter().position(|byte| *byte == 0).ok_or_else(|| malformed("a value has no end"))?;
        value.extend_from_slice(&rest[..zero]);
        let after = rest.get(zero + 1).copied();
        *rest = rest.get(zero + 2..).unwrap_or_default();
        match after {
            Some(ESCAPE) => value.push(0),
            Some(byte) if byte == TERMINATOR[1] => return Ok(value),
            _ => return Err(malformed("a zero byte is not escaped")),
        }
    }
}

fn variable_column<'a>(data_type: &DataType, values: impl Iterator<Item = &'a [u8]>) -> Result<ArrayRef> {
    let binary = BinaryArray::from_iter_values(values);
    match data_type {
        DataType::Utf8 => text::<Utf8Type>(&binary),
        DataType::LargeUtf8 => text::<LargeUtf8Type>(&binary),
        DataType::Utf8View => text_view(&binary),
        DataType::LargeBinary => bytes::<LargeBinaryType>(&binary),
        DataType::BinaryView => Ok(view::<BinaryViewType>(binary.iter().flatten())),
        _ => bytes::<BinaryType>(&binary),
    }
}

fn strings(binary: &BinaryArray) -> Result<Vec<&str>> {
    let not_text = |_| malformed("it is not UTF-8");
    binary.iter().map(|bytes| std::str::from_utf8(bytes.unwrap_or_default()).map_err(not_text)).collect()
}

fn text<T: ByteArrayType<Native = str>>(binary: &BinaryArray) -> Result<ArrayRef> {
    Ok(Arc::new(GenericByteArray::<T>::from_iter_values(strings(binary)?)))
}

fn text_view(binary: &BinaryArray) -> Result<ArrayRef> {
    Ok(view::<StringViewType>(strings(binary)?.into_iter()))
}

fn bytes<T: ByteArrayType<Native = [u8]>>(binary: &BinaryArray) -> Result<ArrayRef> {
    Ok(Arc::new(GenericByteArray::<T>::from_iter_values(binary.iter().flatten())))
}

fn view<'a, T: ByteViewType>(values: impl Iterator<Item = &'a T::Native>) -> ArrayRef {
    Arc::new(GenericByteViewArray::<T>::from_iter_values(values))
}
