//! What an operator sees and may choose: throttling, alarms, the dashboard, outputs, tags, and the findings of checkov
//! that are passed over.

use std::collections::BTreeSet;

use penstock_model::{FunctionName, QueueName};
use penstock_runtime::metrics;
use yaml_serde::Value;

use super::{Template, entries, id, json, list, release_says, releases, shown};

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
    // An idle stack records no traces.
    assert_eq!(template.properties("SweepFunction")["Tracing"], "PassThrough");
}

#[test]
fn executions_are_reserved_for_the_api_and_the_validators_when_it_is_asked_for() {
    let template = Template::read();
    assert_eq!(template.0["Parameters"]["ApiReservedConcurrency"]["Default"].as_u64(), Some(0));
    assert_eq!(template.0["Parameters"]["ValidatorsReserved"]["Default"], "false");
    let condition = shown(&template.0["Conditions"]["HasApiReserved"]);
    assert_eq!(condition, "!Not\n- !Equals\n  - !Ref ApiReservedConcurrency\n  - 0");
    for function in FunctionName::ALL {
        let reserved = &template.properties(&id(function))["ReservedConcurrentExecutions"];
        match function {
            FunctionName::Api => {
                assert_eq!(shown(reserved), "!If\n- HasApiReserved\n- !Ref ApiReservedConcurrency\n- !Ref AWS::NoValue")
            }
            FunctionName::Validate => assert_eq!(
                shown(reserved),
                "!If\n- HasValidatorsReserved\n- !Ref ValidatorConcurrency\n- !Ref AWS::NoValue"
            ),
            _ => assert!(reserved.is_null(), "{function}"),
        }
    }
}

/// Executions that the functions take at once, with the defaults of the parameters.
fn most_at_once(template: &Template) -> u64 {
    let default = |bound: &Value| match bound {
        Value::Tagged(tagged) => {
            let name = tagged.value.as_str().expect("a parameter");
            template.0["Parameters"][name]["Default"].as_u64()
        }
        bound => bound.as_u64(),
    };
    let of = |function| {
        let function = id(function);
        let queues = template.events(&function, "SQS").map(|event| &event["ScalingConfig"]["MaximumConcurrency"]);
        let queues: u64 = queues.map(|bound| default(bound).expect("a bound")).sum();
        queues + template.events(&function, "Schedule").count() as u64
    };
    FunctionName::ALL.into_iter().map(of).sum()
}

/// `infra/release/deploy` says it before it deploys; here it is asked of what the account is asked for there.
#[test]
fn who_deploys_is_told_what_the_accounts_quota_leaves_for_the_api() {
    let template = Template::read();
    let most = most_at_once(&template);
    let program = "import account, json, sys\n\
                   quota, reserved, validators, *named = sys.argv[1:]\n\
                   named = dict(parameter.split('=') for parameter in named)\n\
                   print(json.dumps(account.advice(int(quota), account.most(named), int(reserved), int(validators))))";
    let told = |arguments: &[&str]| -> Option<Vec<String>> {
        Some(serde_json::from_str(&release_says(program, arguments)?).expect("JSON"))
    };
    let Some(enough) = told(&["1000", "0", "0"]) else { return };
    assert_eq!(enough.len(), 1, "{enough:?}");
    assert!(enough[0].contains("1000 executions") && enough[0].contains(&format!(" {most}.")), "{enough:?}");
    let printed = include_str!("../../infra/OPERATIONS.md");
    assert!(printed.contains(&format!("defaults take up to {most}.")), "{most}");
    assert!(printed.contains(&format!("{} for the others", most - 2 * 10)), "{most}");
    // A new account.
    let few = told(&["50", "0", "0"]).expect("python3").join(" ");
    for part in [&format!("leaves {} ", 50_u64.saturating_sub(most)), "ValidatorConcurrency", "Concurrent executions"] {
        assert!(few.contains(part), "{few}");
    }
    let more = told(&["1000", "0", "0", "ValidatorConcurrency=110", "NotifierConcurrency=10"]).expect("python3");
    assert!(more[0].contains(&format!(" {}.", most + 100)), "{more:?}");
    // Reserved, nothing else takes them; but Lambda keeps a hundred.
    assert_eq!(told(&["1000", "20", "0", "ValidatorConcurrency=980"]).expect("python3").len(), 1);
    assert!(told(&["100", "20", "0"]).expect("python3")[1].contains("ApiReservedConcurrency=20 fails"));
    assert!(told(&["128", "20", "10"]).expect("python3")[1].contains("ValidatorsReserved=true fails"));
    assert_eq!(told(&["130", "20", "10"]).expect("python3").len(), 1);
}

/// The metrics of Penstock's own namespace that a text names.
fn named(text: &str) -> BTreeSet<&'static str> {
    metrics::NAMES.into_iter().filter(|name| text.contains(name)).collect()
}

#[test]
fn alarms_look_at_what_is_there() {
    let template = Template::read();
    let mut alarms = template.of_type("AWS::CloudWatch::Alarm");
    alarms.retain(|name, _| !releases::is_of_releases(name));
    let names: Vec<_> = alarms.keys().copied().collect();
    let wanted = [
        "AgeAlarm",
        "ApiErrorsAlarm",
        "AuthorizerAlarm",
        "DeadLettersAlarm",
        "ErrorsAlarm",
        "ReportsAlarm",
        "SweepErrorsAlarm",
        "SweepsAlarm",
        "ThrottlesAlarm",
        "UnsettledAlarm",
        "UnsettledRemovalsAlarm",
    ];
    assert_eq!(names, wanted);
    for (name, alarm) in alarms {
        assert!(alarm["AlarmDescription"].as_str().is_some_and(|text| text.ends_with('.')), "{name}");
        // Where nothing is imported nothing is wrong, but the sweeper runs all the same.
        let missing = if name == "SweepsAlarm" { "breaching" } else { "notBreaching" };
        assert_eq!(alarm["TreatMissingData"], missing, "{name}");
        assert!(shown(&alarm["AlarmActions"]).contains("!Ref AlarmTopicArn"), "{name}");
        let metrics = alarm["Metrics"].as_sequence().map(Vec::as_slice).unwrap_or_default();
        let expressions: Vec<_> = metrics.iter().filter_map(|metric| metric["Expression"].as_str()).collect();
        // An alarm may look at ten metrics (Amazon CloudWatch User Guide, "CloudWatch quotas"), and at what one
        // expression makes of them, in a form that the guide has ("Metric math syntax and functions").
        assert!(metrics.len() - expressions.len() <= 10, "{name}");
        let documented = ["SUM(METRICS())", "MAX(METRICS())"];
        assert!(expressions.iter().all(|expression| documented.contains(expression)), "{name}: {expressions:?}");
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
    for function in FunctionName::ALL {
        let alarm = match function {
            // A wrong key is an error of it: API Gateway tells what its clients are answered.
            FunctionName::Authorize => continue,
            // Five sweeps in a period are no errors among those of the others.
            FunctionName::Sweep => "SweepErrorsAlarm",
            _ => "ErrorsAlarm",
        };
        assert!(of(alarm).contains(&format!("!Ref {}", id(function))), "{function}");
    }
    let route = of("AuthorizerAlarm");
    let path = "/v1/products/import/{id}";
    assert!(!template.properties("RestApi")["DefinitionBody"]["paths"][path]["put"].is_null());
    assert!(route.contains(path) && route.contains("Value: PUT"), "{route}");
}

#[test]
fn a_sweeper_that_fails_each_time_and_one_that_does_not_run_are_alarms() {
    let template = Template::read();
    let number = |alarm: &str, name: &str| template.properties(alarm)[name].as_u64().expect("a number");
    let minutes = number("SweepErrorsAlarm", "Period") / 60;
    assert!(number("SweepErrorsAlarm", "Threshold") < minutes, "it runs once a minute");
    let sweeps = template.properties("SweepsAlarm");
    // A sweep that found nothing due writes a zero, which is a sample.
    assert_eq!((&sweeps["MetricName"], &sweeps["Statistic"]), (&"ImportsSwept".into(), &"SampleCount".into()));
    assert_eq!(sweeps["ComparisonOperator"], "LessThanThreshold");
    assert_eq!(number("SweepsAlarm", "Threshold"), 1);
}

/// SQS counts its messages approximately, and one that cannot be read stays for fourteen days.
#[test]
fn one_message_that_stays_makes_one_alarm() {
    let template = Template::read();
    for alarm in ["UnsettledAlarm", "UnsettledRemovalsAlarm"] {
        let number = |name: &str| template.properties(alarm)[name].as_u64().expect("a number");
        assert!(number("DatapointsToAlarm") < number("EvaluationPeriods"), "{alarm}");
    }
}

#[test]
fn a_report_that_is_missing_is_seen_at_each_look() {
    let template = Template::read();
    let most = template.0["Parameters"]["StallSeconds"]["MaxValue"].as_u64();
    let alarm = template.properties("ReportsAlarm");
    assert!(alarm["Period"].as_u64() >= most, "a look falls into each period");
    assert_eq!(shown(&alarm["Threshold"]), "!Ref AlarmAgeSeconds");
}

#[test]
fn the_dashboard_shows_every_metric_that_the_functions_write() {
    let template = Template::read();
    let Value::Tagged(body) = &template.properties("StackDashboard")["DashboardBody"] else {
        panic!("it names resources")
    };
    let body: serde_json::Value = serde_json::from_str(body.value[0].as_str().expect("a text")).expect("JSON");
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
fn what_an_idle_stack_would_pay_for_without_need_is_there_when_it_is_asked_for() {
    let template = Template::read();
    let parameters = &template.0["Parameters"];
    assert_eq!(
        (&parameters["Dashboard"]["Default"], &parameters["BudgetEmail"]["Default"]),
        (&"false".into(), &"".into())
    );
    for (resource, condition) in [("StackDashboard", "HasDashboard"), ("Budget", "HasBudget")] {
        assert_eq!(template.0["Resources"][resource]["Condition"], condition);
        assert!(!template.0["Conditions"][condition].is_null());
    }
    assert_eq!(template.0["Outputs"]["DashboardName"]["Condition"], "HasDashboard");
}

/// An alarm costs by the metrics that it looks at, a queue by the polls of whoever reads it.
#[test]
fn what_an_idle_stack_is_said_to_pay_for_is_in_the_template() {
    let template = Template::read();
    let of_alarm = |alarm: &Value| match alarm["Metrics"].as_sequence() {
        Some(metrics) => metrics.iter().filter(|metric| !metric["MetricStat"].is_null()).count(),
        None => 1,
    };
    let alarms = template.of_type("AWS::CloudWatch::Alarm");
    let sum = |of_releases: bool| -> usize {
        let alarms = alarms.iter().filter(|(name, _)| releases::is_of_releases(name) == of_releases);
        alarms.map(|(_, alarm)| of_alarm(alarm)).sum()
    };
    // By default there are none of releases.
    let (metrics, of_releases) = (sum(false), sum(true));
    for alarm in alarms.keys() {
        let is_default = template.0["Resources"][*alarm]["Condition"].is_null();
        assert_eq!(is_default, !releases::is_of_releases(alarm), "{alarm}");
    }
    let queues: usize =
        FunctionName::ALL.into_iter().map(|function| template.events(&id(function), "SQS").count()).sum();
    let printed = include_str!("../../infra/OPERATIONS.md");
    assert!(printed.contains(&format!("| metrics that alarms look at, at 0.10 | {metrics} |")), "{metrics}");
    let polls = (queues * 5 * 3 * 60 * 24 * 30).to_string();
    let polls = format!("{},{},{}", &polls[..1], &polls[1..4], &polls[4..]);
    assert!(
        printed.contains(&format!("polls of {queues} empty queues")) && printed.contains(&polls),
        "{queues}, {polls}"
    );
    assert_eq!(template.properties("SweepFunction")["MemorySize"].as_u64(), Some(512));
    let mut schedules = Vec::new();
    for function in FunctionName::ALL {
        schedules.extend(template.events(&id(function), "Schedule").map(|event| shown(&event["Schedule"])));
    }
    assert_eq!(schedules, ["rate(1 minute)"]);
    // What `penstock cost` takes an idle stack to be.
    let prices: serde_json::Value =
        serde_json::from_str(include_str!("../../infra/cost/prices.json")).expect("the price table");
    let idle = |name: &str| prices["idle"][name].as_u64().and_then(|number| usize::try_from(number).ok());
    assert_eq!((idle("alarm_metrics"), idle("release_alarm_metrics")), (Some(metrics), Some(of_releases)));
    assert_eq!((idle("queues"), idle("sweeps_a_minute")), (Some(queues), Some(1)));
}

#[test]
fn a_budget_tells_of_what_the_stacks_cost_before_it_is_spent() {
    let template = Template::read();
    let budget = template.properties("Budget");
    assert_eq!(shown(&budget["Budget"]["BudgetLimit"]["Amount"]), "!Ref MonthlyBudget");
    // What is tagged in the template and by `infra/release/deploy`.
    assert_eq!(json(&budget["Budget"]["CostFilters"]), json!({ "TagKeyValue": ["user:project$penstock"] }));
    let deploy = include_str!("../../infra/release/deploy");
    assert!(deploy.contains("--tags project=penstock"));
    let notifications = list(&budget["NotificationsWithSubscribers"]);
    let kinds: Vec<_> = notifications.iter().map(|each| &each["Notification"]["NotificationType"]).collect();
    assert_eq!(kinds, ["ACTUAL", "FORECASTED"]);
    for notification in notifications {
        assert_eq!(shown(&notification["Subscribers"][0]["Address"]), "!Ref BudgetEmail");
    }
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
