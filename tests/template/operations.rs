//! What an operator sees and may choose: throttling, alarms, the dashboard, outputs, tags, and the findings of checkov
//! that are passed over.

use std::collections::BTreeSet;

use penstock_model::{FunctionName, QueueName};
use penstock_runtime::metrics;

use crate::{Template, entries, id, json, list, shown};

#[test]
fn the_api_is_throttled_and_traced() {
    let template = Template::read();
    let api = template.properties("RestApi");
    let [settings] = &list(&api["MethodSettings"])[..] else { panic!("one for all methods") };
    assert_eq!((&settings["ResourcePath"], &settings["HttpMethod"]), (&"/*".into(), &"*".into()));
    assert_eq!(shown(&settings["ThrottlingRateLimit"]), "!Ref ApiRateLimit");
    assert_eq!(shown(&settings["ThrottlingBurstLimit"]), "!Ref ApiBurstLimit");
    assert_eq!(api["TracingEnabled"].as_bool(), Some(true));
    assert_eq!(template.0["Globals"]["Function"]["Tracing"], "Active");
}

/// The metrics of Penstock's own namespace that a text names.
fn named(text: &str) -> BTreeSet<&'static str> {
    metrics::NAMES.into_iter().filter(|name| text.contains(name)).collect()
}

#[test]
fn alarms_look_at_what_is_there() {
    let template = Template::read();
    let alarms = template.of_type("AWS::CloudWatch::Alarm");
    let names: Vec<_> = alarms.keys().copied().collect();
    let wanted = [
        "AgeAlarm",
        "ApiErrorsAlarm",
        "DeadLettersAlarm",
        "ErrorsAlarm",
        "ThrottlesAlarm",
        "UnsettledAlarm",
        "UnsettledRemovalsAlarm",
    ];
    assert_eq!(names, wanted);
    for (name, alarm) in alarms {
        assert!(alarm["AlarmDescription"].as_str().is_some_and(|text| text.ends_with('.')), "{name}");
        assert_eq!(alarm["TreatMissingData"], "notBreaching", "{name}: where nothing is imported nothing is wrong");
        assert!(shown(&alarm["AlarmActions"]).contains("!Ref AlarmTopicArn"), "{name}");
        // An alarm may look at ten metrics (Amazon CloudWatch User Guide, "CloudWatch quotas").
        assert!(alarm["Metrics"].as_sequence().is_none_or(|metrics| metrics.len() <= 10), "{name}");
        let text = shown(alarm);
        if text.contains("Namespace: Penstock") {
            assert_eq!(text.matches("Namespace:").count(), named(&text).len(), "{name}: a metric that is written");
        }
    }
    let of = |alarm: &str| shown(template.properties(alarm));
    for queue in QueueName::ALL {
        assert!(of("AgeAlarm").contains(&format!("!GetAtt {}.QueueName", queue.logical_id())), "{queue}");
        // Two alarms share the queues of dead letters, since one may look at ten metrics.
        let dead_letters = format!("!GetAtt {}.QueueName", queue.dead_letters_logical_id());
        let unsettled = ["UnsettledAlarm", "UnsettledRemovalsAlarm"];
        assert!(unsettled.into_iter().any(|alarm| of(alarm).contains(&dead_letters)), "{queue}");
    }
    for function in FunctionName::ALL.into_iter().filter(|function| *function != FunctionName::Authorize) {
        assert!(of("ErrorsAlarm").contains(&format!("!Ref {}", id(function))), "{function}");
    }
}

#[test]
fn the_dashboard_shows_every_metric_that_the_functions_write() {
    let template = Template::read();
    let body = shown(&template.properties("Dashboard")["DashboardBody"]);
    let start = body.find('{').expect("an object");
    let body: serde_json::Value = serde_json::from_str(&body[start..]).expect("JSON");
    let mut shown = BTreeSet::new();
    for widget in body["widgets"].as_array().expect("widgets") {
        for metric in widget["properties"]["metrics"].as_array().expect("metrics") {
            if metric[0] == metrics::NAMESPACE {
                assert_eq!((&metric[2], &metric[3]), (&json!("Stack"), &json!("${AWS::StackName}")));
                shown.insert(metric[1].as_str().expect("a name").to_owned());
            }
        }
    }
    assert_eq!(shown, metrics::NAMES.map(str::to_owned).into());
}

#[test]
fn outputs_are_described_and_what_costs_is_tagged() {
    let template = Template::read();
    for (name, output) in entries(&template.0["Outputs"]) {
        assert!(output["Description"].as_str().is_some_and(|text| text.ends_with('.')), "{name}");
    }
    for of_type in ["AWS::DynamoDB::Table", "AWS::Logs::LogGroup", "AWS::S3::Bucket", "AWS::SQS::Queue"] {
        for (name, properties) in template.of_type(of_type) {
            assert_eq!(json(&properties["Tags"]), json!([{ "Key": "project", "Value": "penstock" }]), "{name}");
        }
    }
    assert_eq!(json(&template.0["Globals"]["Function"]["Tags"]), json!({ "project": "penstock" }));
    assert_eq!(json(&template.properties("RestApi")["Tags"]), json!({ "project": "penstock" }));
}

#[test]
fn what_checkov_finds_is_mended_or_passed_over_for_a_reason() {
    let template = Template::read();
    for (name, resource) in entries(&template.0["Resources"]) {
        let Some(skips) = resource["Metadata"]["checkov"]["skip"].as_sequence() else { continue };
        for skip in skips {
            assert!(skip["id"].as_str().is_some_and(|id| id.starts_with("CKV_")), "{name}");
            assert!(skip["comment"].as_str().is_some_and(|reason| reason.len() > 30), "{name}: {}", shown(skip));
        }
    }
}
