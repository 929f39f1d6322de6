//! What people declare: the namespaces and HTTP routes of an application.

use std::collections::HashMap;

use yamabiko_runtime::HttpRequest;

use crate::hooks::Hooks;
use crate::namespace::Namespace;
use crate::pattern::Pattern;
use crate::response::Response;

/// An application as one core runs it. The factory that makes it runs once per core, so whatever its
/// handlers share in an `Rc` is **per core**; what all cores must see goes through rooms.
pub struct App {
    pub(crate) namespaces: Vec<(String, Namespace)>,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) routes: HashMap<String, Route>,
    pub(crate) hooks: Hooks,
}

pub(crate) type Route = Box<dyn Fn(&HttpRequest<'_>) -> Response>;

impl Default for App {
    fn default() -> Self {
        Self::new()
    }
}

impl App {
    /// An application with nothing but an empty main namespace, which admits everybody.
    pub fn new() -> Self {
        let namespaces = vec![("/".into(), Namespace::new())];
        let (patterns, routes, hooks) = Default::default();
        Self { namespaces, patterns, routes, hooks }
    }

    /// Serves a namespace under its name; a missing `/` in front is added. The last one of a name counts.
    /// A client that asks for a name that is not here, and that no pattern takes
    /// ([`App::namespace_matching`]), gets `connect_error` "Invalid namespace".
    pub fn namespace(mut self, name: &str, namespace: Namespace) -> Self {
        let name = with_slash(name);
        match self.namespaces.iter_mut().find(|(other, _)| *other == name) {
            Some(known) => known.1 = namespace,
            None => self.namespaces.push((name, namespace)),
        }
        self
    }

    /// Answers GET and HEAD requests for exactly this path, whatever their query. Paths below Socket.IO's
    /// own never come here; other methods are answered with 405, other paths with 404.
    pub fn get(
        mut self,
        path: &str,
        handler: impl Fn(&HttpRequest<'_>) -> Response + 'static,
    ) -> Self {
        self.routes.insert(with_slash(path), Box::new(handler));
        self
    }
}

/// A name as it is asked for.
pub(crate) fn with_slash(name: &str) -> String {
    if name.starts_with('/') { name.into() } else { format!("/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_namespace_of_a_name_counts_and_the_main_one_is_always_there() {
        let named = Namespace::new().on_any(|_, _| ());
        let app = App::new().namespace("chat", Namespace::new()).namespace("/chat", named);
        let names: Vec<_> = app.namespaces.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["/", "/chat"]);
        assert_eq!(app.namespaces[1].1.on_any.len(), 1);
    }
}
