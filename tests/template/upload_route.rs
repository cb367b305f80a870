//! Algure's upload past Lambda: `PUT /v1/products/import/{id}` to S3. `infra/ministack/algure.py` runs it; the forms of
//! the gateway's own refusals, its limits and its permissions are held by these tests alone.

use std::collections::BTreeSet;

use penstock_model::limits;
use yaml_serde::Value;

use super::{Template, entries, json, list, shown};

fn route(template: &Template) -> &Value {
    let paths = &template.properties("RestApi")["DefinitionBody"]["paths"];
    let names: BTreeSet<_> = entries(paths).map(|(path, _)| path).collect();
    assert_eq!(names, BTreeSet::from(["/", "/{proxy+}", "/v1/products/import/{id}"]), "one beside the proxy");
    let methods: Vec<_> = entries(&paths["/v1/products/import/{id}"]).collect();
    let [("put", put)] = methods[..] else { panic!("PUT alone: any other method falls through to the proxy") };
    put
}

#[test]
fn a_body_goes_to_the_storage_where_the_authorizer_says() {
    let template = Template::read();
    let integration = &route(&template)["x-amazon-apigateway-integration"];
    assert_eq!((&integration["type"], &integration["httpMethod"]), (&"aws".into(), &"PUT".into()));
    let uri = shown(&integration["uri"]);
    assert!(uri.contains(":s3:path/penstock-uploads-${Stack}/{prefix}/{account}/{name}"), "{uri}");
    assert!(uri.contains("!Ref AWS::StackId"), "{uri}");
    let parameters = json(&integration["requestParameters"]);
    let wanted = json!({
        "integration.request.path.prefix": "context.authorizer.prefix",
        "integration.request.path.account": "context.authorizer.account",
        "integration.request.path.name": "context.authorizer.name",
        "integration.request.header.If-None-Match": "'*'",
    });
    assert_eq!(parameters, wanted, "no header of the client reaches the storage, and an import takes one upload");
    assert_eq!(shown(&integration["credentials"]), "!GetAtt StoreRole.Arn");
    // A body of a type that is no text has no template either: it is passed on as it is.
    assert_eq!(integration["passthroughBehavior"], "when_no_match");
    assert!(integration["requestTemplates"].is_null());
}

#[test]
fn every_request_is_asked_about() {
    let template = Template::read();
    assert_eq!(json(&route(&template)["security"]), json!([{ "Uploader": [] }]));
    let body = &template.properties("RestApi")["DefinitionBody"];
    let schemes: Vec<_> = entries(&body["components"]["securitySchemes"]).collect();
    let [("Uploader", scheme)] = schemes[..] else { panic!("one authorizer") };
    let authorizer = &scheme["x-amazon-apigateway-authorizer"];
    // Of type request: a key comes in one of two headers. Nothing is remembered.
    assert_eq!(authorizer["type"], "request");
    assert!(authorizer["identitySource"].is_null());
    assert_eq!(authorizer["authorizerResultTtlInSeconds"].as_u64(), Some(0));
    assert!(shown(&authorizer["authorizerUri"]).contains("Function: !Ref AuthorizeFunction.Alias"));
    let permission = template.properties("AuthorizeInvoke");
    assert_eq!(shown(&permission["FunctionName"]), "!Ref AuthorizeFunction.Alias");
    assert_eq!(permission["Principal"], "apigateway.amazonaws.com");
    assert!(shown(&permission["SourceArn"]).ends_with(":${RestApi}/authorizers/*"));
}

#[test]
fn the_client_is_told_what_the_authorizer_said() {
    let template = Template::read();
    let responses = &route(&template)["x-amazon-apigateway-integration"]["responses"];
    let accepted = &responses["200"];
    assert_eq!(accepted["statusCode"], "201", "stored, and nothing else was said");
    let told = accepted["responseTemplates"]["application/json"].as_str().expect("a template");
    // All that the authorizer may say, functions/api/src/authorizer.rs.
    for status in [404, 409, 410, 415, 429] {
        let line = format!(r##"#if($status == "{status}")#set($context.responseOverride.status = {status})#end"##);
        assert!(told.contains(&line), "{status}");
    }
    assert!(told.ends_with(r#"#if($status != "201")$context.authorizer.body#end"#), "{told}");
    // What the storage answers where another upload came first, and at the same moment.
    let first = &responses["4(12|09)"];
    assert_eq!(first["statusCode"], "409");
    assert!(first["responseTemplates"]["application/json"].as_str().is_some_and(|b| b.contains("already_uploaded")));
    assert_eq!(responses["default"]["statusCode"], "503");
    for (status, _) in entries(responses).filter(|(status, _)| *status != "200") {
        let body = responses[status]["responseTemplates"]["application/json"].as_str().expect("a body");
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert!(body["error"]["code"].is_string() && body["error"]["message"].is_string(), "{status}");
    }
    // Whatever a client accepts first: an answer of the storage that is taken for bytes fails the request.
    for (status, response) in entries(responses) {
        assert_eq!(response["contentHandling"], "CONVERT_TO_TEXT", "{status}");
    }
    let declared: BTreeSet<_> = entries(&route(&template)["responses"]).map(|(status, _)| status).collect();
    assert_eq!(declared, BTreeSet::from(["201", "409", "503"]));
}

#[test]
fn what_is_refused_triggers_nothing_and_is_gone_in_a_day() {
    let template = Template::read();
    let bucket = template.properties("UploadsBucket");
    let rules = list(&bucket["LifecycleConfiguration"]["Rules"]);
    let rule = rules.iter().find(|rule| rule["Prefix"] == "refused/").expect("a rule");
    assert_eq!((rule["Status"].as_str(), rule["ExpirationInDays"].as_u64()), (Some("Enabled"), Some(1)));
    // The bucket keeps versions.
    assert_eq!(rule["NoncurrentVersionExpiration"]["NoncurrentDays"].as_u64(), Some(1));
    for notification in list(&bucket["NotificationConfiguration"]["LambdaConfigurations"]) {
        let prefix = notification["Filter"]["S3Key"]["Rules"][0]["Value"].as_str().expect("a prefix");
        assert!(!"refused/".starts_with(prefix), "{prefix}");
    }
}

#[test]
fn the_gateway_may_store_and_nothing_else() {
    let template = Template::read();
    let role = template.properties("StoreRole");
    let trust = &role["AssumeRolePolicyDocument"]["Statement"][0];
    assert_eq!(trust["Principal"]["Service"], "apigateway.amazonaws.com");
    let statements = template.statements("StoreRole");
    let [statement] = statements[..] else { panic!("one statement") };
    assert_eq!(statement["Action"], "s3:PutObject");
    let resources: Vec<String> = list(&statement["Resource"]).into_iter().map(shown).collect();
    assert_eq!(resources.len(), 2);
    for (resource, prefix) in resources.iter().zip(["uploads", "refused"]) {
        assert!(resource.contains(&format!(":s3:::penstock-uploads-${{Stack}}/{prefix}/*")), "{resource}");
    }
}

#[test]
fn the_gateways_own_refusals_are_json_in_the_dialects_form() {
    let template = Template::read();
    let refusals = &template.properties("RestApi")["GatewayResponses"];
    let statuses = [
        ("ACCESS_DENIED", Some(403)),
        ("AUTHORIZER_FAILURE", Some(503)),
        ("DEFAULT_4XX", None),
        ("DEFAULT_5XX", None),
        ("REQUEST_TOO_LARGE", Some(413)),
        ("THROTTLED", Some(429)),
        ("UNAUTHORIZED", Some(401)),
    ];
    let mut names: Vec<_> = entries(refusals).map(|(name, _)| name).collect();
    names.sort_unstable();
    assert_eq!(names, statuses.map(|(name, _)| name));
    for (name, status) in statuses {
        assert_eq!(refusals[name]["StatusCode"].as_u64(), status, "{name}");
        let body = refusals[name]["ResponseTemplates"]["application/json"].as_str().expect("a body");
        // Which API Gateway quotes itself.
        let body = body.replace("$context.error.messageString", "\"a message\"");
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert!(body["error"]["code"].is_string() && body["error"]["message"].is_string(), "{name}");
    }
    // API Gateway's limit or Lambda's: it does not say which was met.
    let too_large = refusals["REQUEST_TOO_LARGE"]["ResponseTemplates"]["application/json"].as_str().expect("a body");
    for bytes in [limits::GATEWAY_BODY_BYTES, limits::LAMBDA_BODY_BYTES] {
        assert!(too_large.contains(&format!(" {bytes}")), "{too_large}");
    }
    for name in ["THROTTLED", "AUTHORIZER_FAILURE"] {
        assert_eq!(refusals[name]["ResponseParameters"]["Headers"]["Retry-After"], "'1'", "{name}");
    }
}
