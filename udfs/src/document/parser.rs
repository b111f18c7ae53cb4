//! Reads JSON text straight into a VARIANT builder, without a tree in between.
//!
//! Strict RFC 8259. Numbers are exact where they can be: integers of up to 38 digits stay integers
//! or decimals, the others are the nearest double, which a general parser does not promise. Of a
//! key that occurs twice the last value stays. Nesting is bounded, because readers recurse.

use datafusion::common::{DataFusionError, Result, exec_datafusion_err};
use parquet_variant::{ObjectFieldBuilder, Variant, VariantBuilderExt, VariantDecimal16};
use std::borrow::Cow;

/// Deepest nesting of lists and objects.
const DEPTH_MAX: usize = 128;
/// Most digits of an integer that a decimal holds.
const DIGITS_MAX: usize = 38;

/// Appends the JSON value that `text` is to a variant builder.
///
/// # Errors
/// If the text is not one JSON value; the message shows its head and where it breaks off.
pub fn append_json(text: &str, builder: &mut impl VariantBuilderExt) -> Result<()> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    reader.value(builder)?;
    reader.skip_space();
    match reader.peek() {
        None => Ok(()),
        Some(_) => Err(reader.error("expected nothing after the value")),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, builder: &mut impl VariantBuilderExt) -> Result<()> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.nested(|reader| reader.object(builder)),
            Some(b'[') => self.nested(|reader| reader.list(builder)),
            Some(b'"') => {
                builder.append_value(self.string()?.as_ref());
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => {
                builder.append_value(self.number()?);
                Ok(())
            }
            _ => {
                builder.append_value(self.word()?);
                Ok(())
            }
        }
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(&format!("nested deeper than {DEPTH_MAX} levels")));
        }
        self.at += 1;
        read(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn object(&mut self, builder: &mut impl VariantBuilderExt) -> Result<()> {
        let mut object = builder.try_new_object()?;
        if !self.ends(b'}') {
            loop {
                self.skip_space();
                let name = self.string()?;
                self.skip_space();
                if !self.accept(b':') {
                    return Err(self.error("expected ':' after a key"));
                }
                self.value(&mut ObjectFieldBuilder::new(&name, &mut object))?;
                if self.after_item(b'}')? {
                    break;
                }
            }
        }
        object.finish();
        Ok(())
    }

    fn list(&mut self, builder: &mut impl VariantBuilderExt) -> Result<()> {
        let mut list = builder.try_new_list()?;
        if !self.ends(b']') {
            loop {
                self.value(&mut list)?;
                if self.after_item(b']')? {
                    break;
                }
            }
        }
        list.finish();
        Ok(())
    }

    /// Whether the bracket closes right after it opened.
    fn ends(&mut self, close: u8) -> bool {
        self.skip_space();
        self.accept(close)
    }

    /// Whether the bracket closes after an item; otherwise a comma was there.
    fn after_item(&mut self, close: u8) -> Result<bool> {
        self.skip_space();
        if self.accept(close) {
            return Ok(true);
        }
        if self.accept(b',') {
            return Ok(false);
        }
        Err(self.error(&format!("expected ',' or '{}'", char::from(close))))
    }

    fn word(&mut self) -> Result<Variant<'static, 'static>> {
        let words = [("null", Variant::Null), ("true", true.into()), ("false", false.into())];
        for (word, value) in words {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.error("expected a value"))
    }

    fn number(&mut self) -> Result<Variant<'static, 'static>> {
        let start = self.at;
        self.accept(b'-');
        let first = self.peek();
        let digits = self.digits()?;
        if first == Some(b'0') && digits > 1 {
            return Err(self.error("a number starts with a needless 0"));
        }
        let mut whole = true;
        if self.accept(b'.') {
            whole = false;
            self.digits()?;
        }
        if self.accept(b'e') || self.accept(b'E') {
            whole = false;
            let _ = self.accept(b'+') || self.accept(b'-');
            self.digits()?;
        }
        let number = &self.text[start..self.at];
        if whole && digits <= DIGITS_MAX { integer(number) } else { self.double(number) }
    }

    fn double(&self, number: &str) -> Result<Variant<'static, 'static>> {
        match number.parse::<f64>() {
            Ok(double) if double.is_finite() => Ok(double.into()),
            _ => Err(self.error("a number beyond what a double holds")),
        }
    }

    fn digits(&mut self) -> Result<usize> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.error("expected a digit")) } else { Ok(self.at - start) }
    }

    fn string(&mut self) -> Result<Cow<'a, str>> {
        if !self.accept(b'"') {
            return Err(self.error("expected '\"'"));
        }
        let mut decoded = Cow::Borrowed("");
        loop {
            let plain = self.plain();
            match &mut decoded {
                Cow::Borrowed("") => decoded = Cow::Borrowed(plain),
                text => text.to_mut().push_str(plain),
            }
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(decoded);
                }
                Some(b'\\') => {
                    self.at += 1;
                    let character = self.escaped()?;
                    decoded.to_mut().push(character);
                }
                Some(_) => return Err(self.error("a control character inside a string")),
                None => return Err(self.error("a string without its closing '\"'")),
            }
        }
    }

    /// The characters up to a quote, a backslash or a control character.
    fn plain(&mut self) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn escaped(&mut self) -> Result<char> {
        let escape = self.peek();
        self.at += 1;
        Ok(match escape {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => self.code_point()?,
            _ => {
                self.at -= 1;
                return Err(self.error("an unknown escape"));
            }
        })
    }

    fn code_point(&mut self) -> Result<char> {
        let first = self.code_unit()?;
        let paired = (0xD800..0xDC00).contains(&first) && self.text[self.at..].starts_with("\\u");
        let units = if paired {
            self.at += 2;
            [first, self.code_unit()?]
        } else {
            [first, 0]
        };
        let mut characters = char::decode_utf16(units.into_iter().take(1 + usize::from(paired)));
        match (characters.next(), characters.next()) {
            (Some(Ok(character)), None) => Ok(character),
            _ => Err(self.error("half of a surrogate pair")),
        }
    }

    fn code_unit(&mut self) -> Result<u16> {
        let digits = self
            .text
            .get(self.at..self.at + 4)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        self.at += if unit.is_some() { 4 } else { 0 };
        unit.ok_or_else(|| self.error("expected four hexadecimal digits"))
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn error(&self, what: &str) -> DataFusionError {
        let head: String = self.text.chars().take(60).collect();
        exec_datafusion_err!("invalid JSON '{head}': {what} at byte {}", self.at)
    }
}

/// The narrowest integer or decimal that holds the number.
fn integer(number: &str) -> Result<Variant<'static, 'static>> {
    let integer: i128 = number.parse().map_err(|error| exec_datafusion_err!("{number}: {error}"))?;
    i8::try_from(integer)
        .map(Variant::from)
        .or_else(|_| i16::try_from(integer).map(Variant::from))
        .or_else(|_| i32::try_from(integer).map(Variant::from))
        .or_else(|_| i64::try_from(integer).map(Variant::from))
        .or_else(|_| VariantDecimal16::try_new(integer, 0).map(Variant::from))
        .map_err(DataFusionError::from)
}
