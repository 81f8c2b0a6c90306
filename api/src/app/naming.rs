//! From which parts of a request the name of a new role is made.

use rolecall_shared::domain::kind::Naming;
use rolecall_shared::domain::{FieldFault, NameRules, RoleName};

/// The parts as they were sent; which of them a kind asks for is said by [`fields_of`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NameParts<'a> {
    pub(crate) servername: Option<&'a str>,
    pub(crate) port: Option<u16>,
    pub(crate) env_prefix: Option<&'a str>,
    pub(crate) farmname: Option<&'a str>,
    pub(crate) username: Option<&'a str>,
}

/// The fields a naming asks for. A field of another naming is unknown to it.
pub(crate) fn fields_of(naming: Naming) -> &'static [&'static str] {
    match naming {
        Naming::ServernamePort => &["servername", "port"],
        Naming::EnvPrefixFarmname => &["env_prefix", "farmname"],
        Naming::Username => &["username"],
    }
}

/// Makes the name; none when a part is missing, which whoever read the parts has said already.
///
/// An empty part is refused here, because the joined name could still be a valid one (`_8080`).
pub(crate) fn role_name(
    naming: Naming,
    parts: NameParts<'_>,
    rules: &NameRules,
) -> Option<Result<RoleName, FieldFault>> {
    let (first, rest) = match naming {
        Naming::ServernamePort => {
            (("servername", parts.servername?), Some(("port", parts.port?.to_string())))
        }
        Naming::EnvPrefixFarmname => {
            (("env_prefix", parts.env_prefix?), Some(("farmname", parts.farmname?.to_owned())))
        }
        Naming::Username => (("username", parts.username?), None),
    };
    let fault = |field: &str, detail: String| FieldFault { field: field.to_owned(), detail };
    if first.1.is_empty() {
        return Some(Err(fault(first.0, "must not be empty".to_owned())));
    }
    let Some((second, tail)) = rest else {
        return Some(RoleName::parse(first.1, rules).map_err(|e| fault(first.0, e.to_string())));
    };
    if tail.is_empty() {
        return Some(Err(fault(second, "must not be empty".to_owned())));
    }
    let name = RoleName::parse(&format!("{}_{tail}", first.1), rules);
    Some(name.map_err(|e| fault(first.0, format!("the role's name, {}_{second}, {e}", first.0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(naming: Naming, parts: NameParts<'_>) -> Result<String, String> {
        role_name(naming, parts, &NameRules::default())
            .expect("all parts are there")
            .map(|name| name.to_string())
            .map_err(|fault| format!("{}: {}", fault.field, fault.detail))
    }

    #[test]
    fn names_are_joined_as_promised() {
        let parts = NameParts { servername: Some("web-01.eu"), port: Some(8080), ..NameParts::default() };
        assert_eq!(name(Naming::ServernamePort, parts).unwrap(), "web-01.eu_8080");
        let parts = NameParts { env_prefix: Some("dv"), farmname: Some("gears"), ..NameParts::default() };
        assert_eq!(name(Naming::EnvPrefixFarmname, parts).unwrap(), "dv_gears");
        let parts = NameParts { username: Some("jsmith"), ..NameParts::default() };
        assert_eq!(name(Naming::Username, parts).unwrap(), "jsmith");
    }

    #[test]
    fn an_empty_part_is_no_part() {
        let parts = NameParts { servername: Some(""), port: Some(8080), ..NameParts::default() };
        assert!(name(Naming::ServernamePort, parts).unwrap_err().starts_with("servername: "));
        let parts = NameParts { env_prefix: Some("dv"), farmname: Some(""), ..NameParts::default() };
        assert!(name(Naming::EnvPrefixFarmname, parts).unwrap_err().starts_with("farmname: "));
    }

    #[test]
    fn the_whole_name_has_the_limit_and_the_reserved_words() {
        let long = "a".repeat(59);
        let parts = NameParts { servername: Some(&long), port: Some(8080), ..NameParts::default() };
        assert!(name(Naming::ServernamePort, parts).unwrap_err().contains("64 bytes"));
        let parts = NameParts { env_prefix: Some("pg"), farmname: Some("x"), ..NameParts::default() };
        assert!(name(Naming::EnvPrefixFarmname, parts).unwrap_err().contains("reserved"));
        let parts =
            NameParts { servername: Some("evil; DROP ROLE x; --"), port: Some(1), ..NameParts::default() };
        assert!(name(Naming::ServernamePort, parts).unwrap_err().contains("must match"));
    }
}
