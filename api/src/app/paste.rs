//! What people paste: a connection URI, a line of `.pgpass`, lines of environment.

use std::fmt::Write as _;

/// Everything a client needs to log in.
#[derive(Clone, Copy)]
pub(crate) struct Connection<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
    pub(crate) hostname: &'a str,
    pub(crate) port: u16,
    pub(crate) database: &'a str,
}

impl Connection<'_> {
    /// A `postgresql://` URI (PostgreSQL: "Connection URIs"); every part is percent-encoded.
    pub(crate) fn uri(self) -> String {
        // An IPv6 address stands in brackets and keeps its colons.
        let host = if self.hostname.contains(':') {
            format!("[{}]", self.hostname)
        } else {
            percent_encoded(self.hostname)
        };
        format!(
            "postgresql://{}:{}@{host}:{}/{}",
            percent_encoded(self.user),
            percent_encoded(self.password),
            self.port,
            percent_encoded(self.database)
        )
    }

    /// `hostname:port:database:username:password`, with `:` and `\` escaped (PostgreSQL: "The Password File").
    pub(crate) fn pgpass(self) -> String {
        let escaped = |text: &str| text.replace('\\', r"\\").replace(':', r"\:");
        format!(
            "{}:{}:{}:{}:{}",
            escaped(self.hostname),
            self.port,
            escaped(self.database),
            escaped(self.user),
            escaped(self.password)
        )
    }

    /// libpq's variables, one per line, quoted for a POSIX shell where needed.
    pub(crate) fn env(self) -> Vec<String> {
        [
            ("PGHOST", self.hostname),
            ("PGPORT", &self.port.to_string()),
            ("PGDATABASE", self.database),
            ("PGUSER", self.user),
            ("PGPASSWORD", self.password),
        ]
        .into_iter()
        .map(|(name, value)| format!("{name}={}", shell_quoted(value)))
        .collect()
    }
}

/// All but RFC 3986's unreserved characters, byte by byte.
pub(crate) fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a `String` does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

fn shell_quoted(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':' | b'@' | b'/');
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Connection<'_> = Connection {
        user: "web-01.eu_8080",
        password: "aZ-09_",
        hostname: "db1.example.com",
        port: 5432,
        database: "myapp_dev",
    };
    const HOSTILE: Connection<'_> = Connection {
        user: "o'brien$x@corp",
        password: r"p:\@/?#% ",
        hostname: "fe80::1",
        port: 6432,
        database: "my:db/ä",
    };

    #[test]
    fn a_uri_keeps_every_part_apart() {
        assert_eq!(PLAIN.uri(), "postgresql://web-01.eu_8080:aZ-09_@db1.example.com:5432/myapp_dev");
        assert_eq!(
            HOSTILE.uri(),
            "postgresql://o%27brien%24x%40corp:p%3A%5C%40%2F%3F%23%25%20@[fe80::1]:6432/my%3Adb%2F%C3%A4"
        );
    }

    #[test]
    fn a_password_file_line_has_five_fields() {
        assert_eq!(PLAIN.pgpass(), "db1.example.com:5432:myapp_dev:web-01.eu_8080:aZ-09_");
        assert_eq!(HOSTILE.pgpass(), r"fe80\:\:1:6432:my\:db/ä:o'brien$x@corp:p\:\\@/?#% ");
    }

    #[test]
    fn environment_lines_survive_a_shell() {
        assert_eq!(
            PLAIN.env(),
            [
                "PGHOST=db1.example.com",
                "PGPORT=5432",
                "PGDATABASE=myapp_dev",
                "PGUSER=web-01.eu_8080",
                "PGPASSWORD=aZ-09_"
            ]
        );
        assert_eq!(HOSTILE.env()[3], r"PGUSER='o'\''brien$x@corp'");
        assert_eq!(HOSTILE.env()[4], r"PGPASSWORD='p:\@/?#% '");
    }
}
