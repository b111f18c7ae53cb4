//! Cuts text into statements at semicolons outside of quotes and comments.
//!
//! Not a parser: it only knows where quotes and comments end, as far as PostgreSQL's rules go.

/// The complete statements at the head of `text`, without their semicolons, and what is left.
pub(super) fn split(text: &str) -> (Vec<&str>, &str) {
    let mut statements = vec![];
    let mut start = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        match skipped(rest) {
            Some(length) => at += length,
            None if rest.starts_with(';') => {
                statements.push(&text[start..at]);
                at += 1;
                start = at;
            }
            None => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    statements.retain(|statement| !is_blank(statement));
    (statements, &text[start..])
}

/// True when the text holds nothing but space and comments.
pub(super) fn is_blank(text: &str) -> bool {
    let mut rest = text.trim_start();
    while rest.starts_with("--") || rest.starts_with("/*") {
        rest = rest[skipped(rest).unwrap_or(rest.len())..].trim_start();
    }
    rest.is_empty()
}

/// Length of the quoted text or comment that `text` begins with.
fn skipped(text: &str) -> Option<usize> {
    let until =
        |from: usize, end: &str| text[from..].find(end).map_or(text.len(), |at| from + at + end.len());
    match text.as_bytes() {
        [b'-', b'-', ..] => Some(until(2, "\n")),
        [b'/', b'*', ..] => Some(comment(text)),
        [quote @ (b'\'' | b'"'), ..] => Some(until(1, if *quote == b'\'' { "'" } else { "\"" })),
        [b'$', ..] => {
            let tag = text[1..].find('$').map(|at| &text[..at + 2])?;
            let named = tag[1..tag.len() - 1].chars().all(|c| c.is_alphabetic() || c == '_');
            named.then(|| until(tag.len(), tag))
        }
        _ => None,
    }
}

/// Length of a comment, in which others may nest.
fn comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
            }
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_in_quotes_and_comments_do_not_count() {
        for (text, statements, rest) in [
            ("a; b", vec!["a"], " b"),
            ("a;b;", vec!["a", "b"], ""),
            ("';' ; \";\";", vec!["';' ", " \";\""], ""),
            ("'it''s;' ;", vec!["'it''s;' "], ""),
            ("a -- ;\n;", vec!["a -- ;\n"], ""),
            ("/* ; /* ; */ ; */ é;", vec!["/* ; /* ; */ ; */ é"], ""),
            ("$$ ; $$;", vec!["$$ ; $$"], ""),
            ("$x$ ; $y$ ; $x$; $1;", vec!["$x$ ; $y$ ; $x$", " $1"], ""),
            ("; ;\n-- x\n;", vec![], ""),
            ("'open ; ", vec![], "'open ; "),
            ("/* open ; ", vec![], "/* open ; "),
        ] {
            assert_eq!(split(text), (statements, rest), "{text}");
        }
        assert!(is_blank(" -- x\n /* y */ "));
        assert!(!is_blank("-- x\nSELECT"));
    }
}
