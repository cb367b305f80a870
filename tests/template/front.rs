//! What stands before the API and around the stack when it is asked for: a name, a web ACL, access logs, keys of one's
//! own, a permissions boundary. And connections without TLS, which queues refuse.

use std::collections::BTreeSet;

use yaml_serde::Value;

use super::{Template, entries, json, list, shown};

/// A value that is there if a condition holds, else left unsaid.
fn only_if(condition: &str, value: &str) -> String {
    format!("!If\n- {condition}\n- {value}\n- !Ref AWS::NoValue")
}

/// A stack that names none of them is deployed as if there were no such parameters.
#[test]
fn what_stands_before_the_api_is_there_when_it_is_asked_for() {
    let template = Template::read();
    let conditions = &template.0["Conditions"];
    for (parameter, condition) in [
        ("DomainName", "HasDomain"),
        ("WebAclArn", "HasWebAcl"),
        ("AccessLogsArn", "HasAccessLogs"),
        ("TablesKeyArn", "HasTablesKey"),
        ("BucketsKeyArn", "HasBucketsKey"),
        ("QueuesKeyArn", "HasQueuesKey"),
        ("LogsKeyArn", "HasLogsKey"),
        ("PermissionsBoundaryArn", "HasPermissionsBoundary"),
    ] {
        assert_eq!(template.0["Parameters"][parameter]["Default"], "", "{parameter}");
        assert_eq!(shown(&conditions[condition]), format!("!Not\n- !Equals\n  - !Ref {parameter}\n  - ''"));
    }
    let resources = [
        ("ApiDomain", "HasDomain"),
        ("ApiDomainMapping", "HasDomain"),
        ("ApiWebAcl", "HasWebAcl"),
        ("KeysPolicy", "HasKeys"),
    ];
    for (resource, condition) in resources {
        assert_eq!(template.0["Resources"][resource]["Condition"], condition, "{resource}");
    }
}

#[test]
fn a_name_of_its_own_leads_to_the_whole_api_and_is_what_urls_begin_with() {
    let template = Template::read();
    let domain = template.properties("ApiDomain");
    assert_eq!(json(&domain["EndpointConfiguration"]["Types"]), json!(["REGIONAL"]));
    assert_eq!(domain["SecurityPolicy"], "TLS_1_2");
    assert_eq!(shown(&domain["RegionalCertificateArn"]), "!Ref CertificateArn");
    let mapping = template.properties("ApiDomainMapping");
    assert!(mapping["BasePath"].is_null(), "no prefix stands in a path");
    assert_eq!(shown(&mapping["Stage"]), "!Ref RestApi.Stage");
    let own = "!Sub https://${DomainName}";
    for function in ["ApiFunction", "NotifyFunction"] {
        assert!(template.environment(function)["PENSTOCK_API_URL"].contains(own), "{function}");
    }
    assert!(shown(&template.0["Outputs"]["ApiUrl"]["Value"]).contains(own));
    // Pages of the console that it serves upload.
    let cors = &template.properties("UploadsBucket")["CorsConfiguration"]["CorsRules"][0]["AllowedOrigins"];
    assert!(shown(cors).contains(own), "{}", shown(cors));
}

/// A log of requests is read by more people than may use a key.
#[test]
fn access_logs_hold_no_header_and_no_query() {
    let template = Template::read();
    let setting = &template.properties("RestApi")["AccessLogSetting"];
    let Value::Tagged(setting) = setting else { panic!("it stands under a condition") };
    assert_eq!((setting.tag.to_string().as_str(), &setting.value[0]), ("!If", &"HasAccessLogs".into()));
    let format = setting.value[1]["Format"].as_str().expect("a text");
    let parsed: serde_json::Value = serde_json::from_str(format).expect("each line is JSON");
    let used: BTreeSet<_> =
        parsed.as_object().expect("an object").values().filter_map(|value| value.as_str()).collect();
    let known = [
        "$context.httpMethod",
        "$context.identity.sourceIp",
        "$context.path",
        "$context.requestId",
        "$context.requestTimeEpoch",
        "$context.responseLatency",
        "$context.responseLength",
        "$context.status",
        "$context.xrayTraceId",
    ];
    assert_eq!(used, known.into());
}

#[test]
fn whatever_stores_takes_a_key_of_ones_own_and_every_role_may_use_it() {
    let template = Template::read();
    for (table, properties) in template.of_type("AWS::DynamoDB::Table") {
        let key = &properties["SSESpecification"]["KMSMasterKeyId"];
        assert_eq!(shown(key), only_if("HasTablesKey", "!Ref TablesKeyArn"), "{table}");
    }
    for (bucket, properties) in template.of_type("AWS::S3::Bucket") {
        let encryption = shown(&properties["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]);
        assert!(encryption.contains("KMSMasterKeyID: !Ref BucketsKeyArn"), "{bucket}: {encryption}");
    }
    for (queue, properties) in template.of_type("AWS::SQS::Queue") {
        // SQS takes one or the other.
        let managed = shown(&properties["SqsManagedSseEnabled"]);
        assert_eq!(managed, "!If\n- HasQueuesKey\n- !Ref AWS::NoValue\n- true", "{queue}");
        assert_eq!(shown(&properties["KmsMasterKeyId"]), only_if("HasQueuesKey", "!Ref QueuesKeyArn"), "{queue}");
    }
    for (log, properties) in template.of_type("AWS::Logs::LogGroup") {
        assert_eq!(shown(&properties["KmsKeyId"]), only_if("HasLogsKey", "!Ref LogsKeyArn"), "{log}");
    }
    let policy = template.properties("KeysPolicy");
    let roles: BTreeSet<String> = list(&policy["Roles"]).into_iter().map(shown).collect();
    // CodeDeploy's stores nothing.
    let mut all = template.of_type("AWS::IAM::Role");
    all.remove("ReleaseRole");
    let all: BTreeSet<String> = all.into_keys().map(|role| format!("!Ref {role}")).collect();
    assert_eq!(roles, all);
    let [statement] = &list(&policy["PolicyDocument"]["Statement"])[..] else { panic!("one statement") };
    assert_eq!(json(&statement["Action"]), json!(["kms:Decrypt", "kms:GenerateDataKey"]));
    assert_eq!(list(&statement["Resource"]).len(), 3);
    assert!(!statement["Condition"]["StringEquals"]["kms:ViaService"].is_null(), "through a service alone");
}

#[test]
fn every_role_has_the_boundary_that_is_named() {
    let template = Template::read();
    for (role, properties) in template.of_type("AWS::IAM::Role") {
        let boundary = shown(&properties["PermissionsBoundary"]);
        assert_eq!(boundary, only_if("HasPermissionsBoundary", "!Ref PermissionsBoundaryArn"), "{role}");
    }
}

#[test]
fn queues_refuse_connections_without_tls() {
    let template = Template::read();
    let policy = template.properties("QueuesPolicy");
    let covered: BTreeSet<String> = list(&policy["Queues"]).into_iter().map(shown).collect();
    let all: BTreeSet<String> =
        template.of_type("AWS::SQS::Queue").into_keys().map(|queue| format!("!Ref {queue}")).collect();
    assert_eq!(covered, all);
    let [statement] = &list(&policy["PolicyDocument"]["Statement"])[..] else { panic!("one statement") };
    assert_eq!(statement["Effect"], "Deny", "nothing is allowed by it");
    assert_eq!(json(&statement["Condition"]), json!({ "Bool": { "aws:SecureTransport": "false" } }));
    assert_eq!((&statement["Principal"], &statement["Action"]), (&"*".into(), &"sqs:*".into()));
    // A policy of a queue is about that one alone.
    assert_eq!(statement["Resource"], "*");
    assert_eq!(
        entries(&template.0["Resources"]).filter(|(_, each)| each["Type"] == "AWS::SQS::QueuePolicy").count(),
        1
    );
}
