/// Gives a type that has `FromStr` and `Display` the same form in YAML, JSON and the schema.
macro_rules! text_form {
    ($type:ty, name: $name:literal, format: $format:literal, pattern: $pattern:expr, examples: [$($example:literal),+], about: $about:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "format": $format,
                    "pattern": $pattern,
                    "description": $about,
                    "examples": [$($example),+],
                })
            }
        }
    };
}

pub(crate) use text_form;

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use proptest::prelude::*;
    use schemars::{JsonSchema, schema_for};
    use serde_json::json;

    use super::super::{BackupId, Bytes, Duration, Lsn, Name, Percent, Period, QuantityError, Rate};

    /// Whether an editor that knows only the schema accepts the text.
    fn schema_accepts<T: JsonSchema>(text: &str) -> bool {
        let schema = schema_for!(T);
        jsonschema::validator_for(schema.as_value()).expect("the schema is one").is_valid(&json!(text))
    }

    /// The schema accepts exactly what is read, and what only its value makes impossible.
    fn agree<T: JsonSchema + FromStr<Err = QuantityError>>(text: &str) -> Result<(), TestCaseError> {
        let accepted = match text.parse::<T>() {
            Ok(_) => true,
            Err(error) => error.fault.is_of_value(),
        };
        prop_assert_eq!(schema_accepts::<T>(text), accepted, "{} and its schema disagree about `{}`", T::schema_name(), text);
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn the_schema_and_the_reader_agree(
            text in "([0-9]{1,3}|[0-9]{1,21}|0|-1|1\\.5|) ?(s|m|min|mins|h|d|days|w|mo|months|y|year|[kKMGTP]i?B|B|gb|[kMG]i?B/s|%|x|/)( ?[0-9]{1,21} ?(s|m|h|d|w|mo|y|MB|PiB|B/s|q))? ?"
        ) {
            agree::<Duration>(&text)?;
            agree::<Period>(&text)?;
            agree::<Bytes>(&text)?;
            agree::<Rate>(&text)?;
            agree::<Percent>(&text)?;
        }

        #[test]
        fn names_agree_with_their_schema(text in "[a-z0-9-]{0,70}|[ -~]{0,12}|[A-Za-z0-9._-]{0,70}") {
            agree::<Name>(&text)?;
            agree::<BackupId>(&text)?;
        }

        #[test]
        fn positions_agree_with_their_schema(text in "[0-9A-Fa-f]{0,9}/?[0-9A-Fag]{0,9}") {
            prop_assert_eq!(schema_accepts::<Lsn>(&text), text.parse::<Lsn>().is_ok());
        }
    }

    #[test]
    fn the_same_form_in_json() {
        assert_eq!(serde_json::to_value(Duration::from_mins(90)).expect("it can be written"), json!("1h 30m"));
        assert_eq!(serde_json::from_value::<Duration>(json!("90m")).expect("it can be read"), Duration::from_mins(90));
        let error = serde_json::from_value::<Duration>(json!("90")).expect_err("it has no unit");
        assert_eq!(error.to_string(), "`90` has no unit");
    }

    #[test]
    fn the_examples_of_the_schema_are_good_ones() {
        fn check<T: JsonSchema + FromStr<Err: std::fmt::Debug>>() {
            let schema = schema_for!(T);
            let examples = schema.as_value()["examples"].as_array().expect("there are examples");
            assert!(!examples.is_empty());
            for example in examples {
                let text = example.as_str().expect("they are texts");
                assert!(text.parse::<T>().is_ok() && schema_accepts::<T>(text), "{}: {text}", T::schema_name());
            }
        }
        check::<Duration>();
        check::<Period>();
        check::<Bytes>();
        check::<Rate>();
        check::<Percent>();
        check::<Lsn>();
        check::<Name>();
        check::<BackupId>();
    }
}
