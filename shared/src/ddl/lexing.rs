//! A second opinion on quoting: a small lexer that knows nothing of the renderer, over random names.
//!
//! It follows "Lexical Structure" in PostgreSQL's manual and reads plain literals under both values of
//! `standard_conforming_strings`.

use proptest::prelude::*;

use super::golden::{HOSTILE, database, every_statement, role, schema, verifier};
use super::{Setting, Statement, script};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Identifier(String),
    Literal(String),
    Symbol(char),
}

/// The tokens of a script, one list per statement. Comments, dollar quotes and unfinished quotes are faults:
/// nothing of ours has them.
fn lex(sql: &str, standard_conforming_strings: bool) -> Result<Vec<Vec<Token>>, String> {
    let mut chars = sql.chars().peekable();
    let mut statements = vec![Vec::new()];
    let quoted = |chars: &mut std::iter::Peekable<std::str::Chars>, quote: char, escapes: bool| {
        let mut text = String::new();
        loop {
            match chars.next().ok_or("unfinished quote")? {
                '\\' if escapes => match chars.next().ok_or("unfinished escape")? {
                    same @ ('\\' | '\'') => text.push(same),
                    other => return Err(format!("escape of {other}")),
                },
                c if c == quote && chars.peek() == Some(&quote) => text.extend(chars.next()),
                c if c == quote => return Ok(text),
                c => text.push(c),
            }
        }
    };
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        let token = match c {
            ' ' | '\n' => continue,
            ';' => {
                statements.push(Vec::new());
                continue;
            }
            '-' if next == Some('-') => return Err("comment".into()),
            '/' if next == Some('*') => return Err("comment".into()),
            '"' => Token::Identifier(quoted(&mut chars, '"', false)?),
            'E' if next == Some('\'') => {
                chars.next();
                Token::Literal(quoted(&mut chars, '\'', true)?)
            }
            '\'' => Token::Literal(quoted(&mut chars, '\'', !standard_conforming_strings)?),
            c if c.is_ascii_alphanumeric() => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    word.push(c);
                }
                Token::Word(word)
            }
            '=' | ',' | '.' | '-' => Token::Symbol(c),
            other => return Err(format!("unexpected {other:?}")),
        };
        statements.last_mut().ok_or("no statement")?.push(token);
    }
    Ok(statements)
}

fn identifiers(statement: &[Token]) -> Vec<&str> {
    statement
        .iter()
        .filter_map(|token| match token {
            Token::Identifier(name) => Some(name.as_str()),
            Token::Word(_) | Token::Literal(_) | Token::Symbol(_) => None,
        })
        .collect()
}

/// All but the identifiers: what a name must never change.
fn skeleton(statement: &[Token]) -> Vec<Token> {
    statement
        .iter()
        .map(|token| match token {
            Token::Identifier(_) => Token::Identifier(String::new()),
            Token::Word(_) | Token::Literal(_) | Token::Symbol(_) => token.clone(),
        })
        .collect()
}

fn assert_quoted(name: &str) {
    let statements = every_statement(name);
    let expected = lex(&script(&every_statement("x")), true).unwrap();
    for standard_conforming_strings in [true, false] {
        let found = lex(&script(&statements), standard_conforming_strings).unwrap();
        assert_eq!(found.len(), statements.len(), "statements in the script with {name:?}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(skeleton(found), skeleton(expected), "{name:?}");
            assert!(identifiers(found).iter().all(|found| *found == name), "{found:?} with {name:?}");
        }
    }
}

#[test]
fn the_lexer_sees_what_bad_quoting_would_do() {
    let statements = |sql| lex(sql, true).map(|found| found.len());
    assert_eq!(statements(r#"ALTER ROLE "a"; DROP ROLE x"#), Ok(2));
    assert_eq!(statements(r"COMMENT ON ROLE x IS 'a\'; DROP ROLE x"), Ok(2));
    assert_eq!(lex(r"COMMENT ON ROLE x IS 'a\'; DROP ROLE x", false), Err("unfinished quote".into()));
    for sql in [r#"ALTER ROLE "a"#, "SELECT 'a", "a -- b", "a /* b */", "$$a$$", r"E'\n'"] {
        assert!(statements(sql).is_err(), "{sql}");
    }
    assert_eq!(lex(r#"a"b""c"'d''e'"#, true).unwrap()[0].len(), 3);
}

#[test]
fn hostile_names_stay_names() {
    for name in HOSTILE {
        assert_quoted(name);
    }
}

/// Names as the door lets them through under the widest pattern: 1 to 63 bytes without control characters, rich
/// in what means something to SQL.
fn names() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "\"", "'", "\\", ";", "--", "/*", "*/", "$$", "$a$", "E'", "U&\"", " ", "x"
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_filter("no control characters", |c| !c.is_control()).prop_map(String::from),
    ];
    prop::collection::vec(piece, 1..40).prop_map(|pieces| {
        let mut name = pieces.concat();
        while name.len() > 63 {
            name.pop();
        }
        name
    })
}

proptest! {
    #[test]
    fn any_name_stays_a_name(name in names()) {
        assert_quoted(&name);
    }

    #[test]
    fn each_name_comes_back_in_its_place(
        role_name in names(),
        database_name in names(),
        schema_names in prop::collection::vec(names(), 1..5),
    ) {
        let rendered = Statement::SetInDatabase {
            role: role(&role_name),
            database: database(&database_name),
            setting: Setting::SearchPath(schema_names.iter().map(|name| schema(name)).collect()),
        }
        .render();
        let found = lex(&rendered, true).unwrap();
        let expected: Vec<_> =
            [&role_name, &database_name].into_iter().chain(&schema_names).map(String::as_str).collect();
        prop_assert_eq!(found.len(), 1);
        prop_assert_eq!(identifiers(&found[0]), expected);
    }

    #[test]
    fn any_literal_comes_back(text in names()) {
        let rendered = super::quote::Literal(&text).to_string();
        for standard_conforming_strings in [true, false] {
            prop_assert_eq!(
                lex(&rendered, standard_conforming_strings),
                Ok(vec![vec![Token::Literal(text.clone())]])
            );
        }
    }
}

#[test]
fn a_verifier_needs_no_escaping() {
    let rendered = Statement::SetPassword { role: role("x"), verifier: verifier() }.render();
    assert!(rendered.ends_with(&format!(" PASSWORD '{}'", verifier().as_str())), "{rendered}");
}
