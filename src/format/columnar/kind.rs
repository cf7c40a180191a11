//! PostgreSQL's types as Parquet has them, and its texts as their values. What has no counterpart stays text.

use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, FloatType, Int32Type, Int64Type,
};
use parquet::errors::Result;
use parquet::file::writer::SerializedColumnWriter;
use parquet::schema::types::Type;

use crate::format::archived::Column;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Small,
    Big,
    Real,
    Double,
    Date,
    Timestamp { with_zone: bool },
    Decimal { precision: i32, scale: i32 },
    Uuid,
    Bytes,
    Json,
    Text,
}

#[derive(Debug)]
enum Values {
    Bool(Vec<bool>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bytes(Vec<ByteArray>),
    Fixed(Vec<FixedLenByteArray>),
}

/// The values of one column that are not written yet.
#[derive(Debug)]
pub(super) struct Cells {
    kind: Kind,
    values: Values,
    /// 1 where there is a value, 0 where it is null.
    there: Vec<i16>,
    /// Values that Parquet cannot express: they are null there.
    pub misfits: u64,
}

impl Kind {
    pub(super) fn of(text: &str) -> Kind {
        match text {
            "boolean" => Kind::Bool,
            "smallint" | "integer" => Kind::Small,
            "bigint" => Kind::Big,
            "real" => Kind::Real,
            "double precision" => Kind::Double,
            "date" => Kind::Date,
            "uuid" => Kind::Uuid,
            "bytea" => Kind::Bytes,
            "json" | "jsonb" => Kind::Json,
            _ if text.starts_with("timestamp") && !text.ends_with(']') => Kind::Timestamp { with_zone: text.ends_with("with time zone") },
            _ => decimal(text).unwrap_or(Kind::Text),
        }
    }

    pub(super) fn field(self, column: &Column) -> Result<Arc<Type>> {
        let (physical, logical) = match self {
            Kind::Bool => (Physical::BOOLEAN, None),
            Kind::Small => (Physical::INT32, None),
            Kind::Big => (Physical::INT64, None),
            Kind::Real => (Physical::FLOAT, None),
            Kind::Double => (Physical::DOUBLE, None),
            Kind::Date => (Physical::INT32, Some(LogicalType::Date)),
            Kind::Timestamp { with_zone } => (Physical::INT64, Some(LogicalType::timestamp(with_zone, TimeUnit::MICROS))),
            Kind::Decimal { precision, scale } => (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::decimal(scale, precision))),
            Kind::Uuid => (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid)),
            Kind::Bytes => (Physical::BYTE_ARRAY, None),
            Kind::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let mut field =
            Type::primitive_type_builder(&column.name, physical).with_repetition(Repetition::OPTIONAL).with_logical_type(logical);
        if physical == Physical::FIXED_LEN_BYTE_ARRAY {
            field = field.with_length(16);
        }
        if let Kind::Decimal { precision, scale } = self {
            field = field.with_precision(precision).with_scale(scale);
        }
        field.build().map(Arc::new)
    }
}

/// `numeric(12,2)`. Without limits there is no Parquet type that takes them all.
fn decimal(text: &str) -> Option<Kind> {
    let (precision, scale) = text.strip_prefix("numeric(")?.strip_suffix(')')?.split_once(',')?;
    let (precision, scale): (i32, i32) = (precision.parse().ok()?, scale.parse().ok()?);
    ((1..=38).contains(&precision) && (0..=precision).contains(&scale)).then_some(Kind::Decimal { precision, scale })
}

impl Cells {
    pub(super) fn new(kind: Kind) -> Cells {
        let values = match kind {
            Kind::Bool => Values::Bool(Vec::new()),
            Kind::Small | Kind::Date => Values::I32(Vec::new()),
            Kind::Big | Kind::Timestamp { .. } => Values::I64(Vec::new()),
            Kind::Real => Values::F32(Vec::new()),
            Kind::Double => Values::F64(Vec::new()),
            Kind::Decimal { .. } | Kind::Uuid => Values::Fixed(Vec::new()),
            Kind::Bytes | Kind::Json | Kind::Text => Values::Bytes(Vec::new()),
        };
        Cells { kind, values, there: Vec::new(), misfits: 0 }
    }

    pub(super) fn push(&mut self, value: Option<&[u8]>) {
        let fits = value.map(|value| self.take(value).is_some());
        if fits == Some(false) {
            self.misfits += 1;
        }
        self.there.push(i16::from(fits == Some(true)));
    }

    fn take(&mut self, value: &[u8]) -> Option<()> {
        let text = std::str::from_utf8(value).ok();
        match (&mut self.values, self.kind) {
            (Values::Bool(all), _) => all.push(value == b"t"),
            (Values::I32(all), Kind::Date) => all.push(i32::try_from(days(text?)?).ok()?),
            (Values::I32(all), _) => all.push(text?.parse().ok()?),
            (Values::I64(all), Kind::Timestamp { .. }) => all.push(micros(text?)?),
            (Values::I64(all), _) => all.push(text?.parse().ok()?),
            (Values::F32(all), _) => all.push(text?.parse().ok()?),
            (Values::F64(all), _) => all.push(text?.parse().ok()?),
            (Values::Fixed(all), Kind::Uuid) => all.push(bytes_of(text?.as_bytes(), b'-')?.into()),
            (Values::Fixed(all), Kind::Decimal { scale, .. }) => all.push(scaled(text?, scale)?.to_be_bytes().to_vec().into()),
            (Values::Fixed(_), _) => return None,
            (Values::Bytes(all), Kind::Bytes) => all.push(bytes_of(value.strip_prefix(b"\\x")?, b' ')?.into()),
            (Values::Bytes(all), _) => all.push(value.to_vec().into()),
        }
        Some(())
    }

    /// Writes what is there, and forgets it.
    pub(super) fn write(&mut self, writer: &mut SerializedColumnWriter<'_>) -> Result<()> {
        let there = Some(self.there.as_slice());
        match &self.values {
            Values::Bool(all) => writer.typed::<BoolType>().write_batch(all, there, None),
            Values::I32(all) => writer.typed::<Int32Type>().write_batch(all, there, None),
            Values::I64(all) => writer.typed::<Int64Type>().write_batch(all, there, None),
            Values::F32(all) => writer.typed::<FloatType>().write_batch(all, there, None),
            Values::F64(all) => writer.typed::<DoubleType>().write_batch(all, there, None),
            Values::Bytes(all) => writer.typed::<ByteArrayType>().write_batch(all, there, None),
            Values::Fixed(all) => writer.typed::<FixedLenByteArrayType>().write_batch(all, there, None),
        }?;
        *self = Cells { misfits: self.misfits, ..Cells::new(self.kind) };
        Ok(())
    }
}

/// Hexadecimal, whatever stands between.
fn bytes_of(text: &[u8], between: u8) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits = text.iter().filter(|byte| **byte != between).map(|byte| digit(*byte)).collect::<Option<Vec<u8>>>()?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// `12.50` with a scale of 2 is 1250. The server always writes all places.
fn scaled(text: &str, scale: i32) -> Option<i128> {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    (i32::try_from(places.len()) == Ok(scale)).then_some(())?;
    format!("{whole}{places}").parse().ok()
}

/// Since 1970. Nothing for what jiff's calendar does not reach, and for infinity.
fn days(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let date = jiff::civil::Date::new(year, month, day).ok()?;
    Some(i64::from(date.since(jiff::civil::date(1970, 1, 1)).ok()?.get_days()))
}

/// Of `2026-11-21 02:00:00.5` or the same with `+00` behind it.
fn micros(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix("+00").unwrap_or(text).split_once(' ')?;
    let (time, places) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = time.split(':').map(str::parse::<i64>);
    let (hours, minutes, seconds) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let fraction: i64 = if places.is_empty() { 0 } else { format!("{places:0<6}").parse().ok()? };
    Some((((days(date)? * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000_000 + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_server_become_values() {
        assert_eq!((days("1970-01-01"), days("2026-11-21"), days("1969-12-31")), (Some(0), Some(20_778), Some(-1)));
        assert_eq!(micros("1970-01-01 00:00:00.000001+00"), Some(1));
        assert_eq!(micros("2026-11-21 02:00:00.5"), Some((20_778 * 86_400 + 7_200) * 1_000_000 + 500_000));
        assert_eq!((micros("infinity"), days("0044-03-15 BC"), days("294276-01-01")), (None, None, None));
        assert_eq!((scaled("-12.50", 2), scaled("7", 0), scaled("NaN", 2), scaled("1.5", 2)), (Some(-1250), Some(7), None, None));
        assert_eq!(bytes_of(b"00ff10", b' '), Some(vec![0, 255, 16]));
        assert_eq!(bytes_of(b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", b'-').map(|bytes| bytes.len()), Some(16));
    }

    #[test]
    fn types_have_their_counterparts() {
        for (text, kind) in [
            ("numeric(12,2)", Kind::Decimal { precision: 12, scale: 2 }),
            ("numeric", Kind::Text),
            ("numeric(50,2)", Kind::Text),
            ("numeric(3,5)", Kind::Text),
            ("timestamp(3) with time zone", Kind::Timestamp { with_zone: true }),
            ("timestamp without time zone", Kind::Timestamp { with_zone: false }),
            ("timestamp without time zone[]", Kind::Text),
            ("integer[]", Kind::Text),
            ("character varying(20)", Kind::Text),
        ] {
            assert_eq!(Kind::of(text), kind, "{text}");
        }
    }
}
