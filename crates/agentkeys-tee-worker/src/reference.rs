use utoipa::{OpenApi as _, openapi::OpenApi};

use crate::{log::DescribedLog, worker::DescribedRestore};

/// The description of the API (OpenAPI 3.1), made from the handlers: the signer's, and the worker's own.
pub fn openapi() -> OpenApi {
    agentkeys_signer::openapi().merge_from(DescribedLog::openapi()).merge_from(DescribedRestore::openapi())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use agentkeys_http::Server;
    use axum::Router;
    use reqwest::Method;

    use super::*;

    /// Asserts that all paths below `prefix` that are described are served, with the same methods.
    pub(crate) async fn assert_described(prefix: &str, routes: Router) {
        let description = serde_json::to_value(openapi()).unwrap();
        let server = Server::bind("worker", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let running = server.serve(routes);
        let paths = description["paths"].as_object().unwrap();
        assert!(paths.keys().any(|path| path.starts_with(prefix)), "{prefix}");
        for (path, operations) in paths.iter().filter(|(path, _)| path.starts_with(prefix)) {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let request = client.request(Method::TRACE, format!("http://{}{path}", running.address()));
            let answer = request.send().await.unwrap();
            let allowed = answer.headers().get("allow").map(|allowed| allowed.to_str().unwrap().to_ascii_lowercase());
            let allowed = allowed.unwrap_or_else(|| panic!("{path} is described and not served"));
            let methods: BTreeSet<_> = allowed.split(',').filter(|method| *method != "head").collect();

            let described: BTreeSet<_> = operations.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(methods, described, "{path}");
        }
    }

    #[test]
    fn every_route_that_a_worker_adds_to_the_signers_is_described() {
        let described = |description: OpenApi| description.paths.paths.len();
        let of_the_worker = described(openapi()) - described(agentkeys_signer::openapi());

        let routes = [include_str!("log/routes.rs"), include_str!("worker/restoration.rs")];
        let places = [include_str!("worker.rs"), include_str!("worker/restoring.rs")];
        assert_eq!(routes.map(|source| source.matches(".route(").count()).iter().sum::<usize>(), of_the_worker);
        assert_eq!(places.map(|source| source.matches(".merge(").count()).iter().sum::<usize>(), routes.len());
        assert_eq!(places.map(|source| source.matches(".route(").count()).iter().sum::<usize>(), 0);
    }
}
