//! Tables and buckets.

use std::collections::BTreeMap;

use penstock_model::{AccountId, Export, ExportId, ImportId, limits};
use penstock_store::{export_files::export_file_key, names::Folder, uploads};
use yaml_serde::Value;

use super::{IMPORTS_NAME, RECORDS_NAME, Template, json, list, shown};

#[test]
fn buckets_are_private_encrypted_and_empty_themselves() {
    let template = Template::read();
    let buckets = template.of_type("AWS::S3::Bucket");
    assert_eq!(buckets.keys().copied().collect::<Vec<_>>(), ["ResultsBucket", "UploadsBucket"]);
    for (bucket, properties) in buckets {
        let blocked = json(&properties["PublicAccessBlockConfiguration"]);
        let all = json!({
            "BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true,
        });
        assert_eq!(blocked, all, "{bucket}");
        let encryption = &properties["BucketEncryption"]["ServerSideEncryptionConfiguration"][0];
        let by_default = shown(&encryption["ServerSideEncryptionByDefault"]);
        assert!(
            by_default.starts_with("!If\n- HasBucketsKey\n") && by_default.ends_with("- SSEAlgorithm: AES256"),
            "{by_default}"
        );
        let policy = template.properties(&format!("{bucket}Policy"));
        assert_eq!(shown(&policy["Bucket"]), format!("!Ref {bucket}"));
        let [statement] = &list(&policy["PolicyDocument"]["Statement"])[..] else { panic!("{bucket}: one statement") };
        assert_eq!(statement["Effect"], "Deny", "{bucket}: nothing is allowed by it");
        assert_eq!(json(&statement["Condition"]), json!({ "Bool": { "aws:SecureTransport": "false" } }), "{bucket}");
        let covered: Vec<String> = list(&statement["Resource"]).into_iter().map(shown).collect();
        assert_eq!(covered, [format!("!GetAtt {bucket}.Arn"), format!("!Sub ${{{bucket}.Arn}}/*")]);
        let rules = list(&properties["LifecycleConfiguration"]["Rules"]);
        let days = |rule: &&Value| rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"].as_u64();
        let days = rules.iter().find_map(days).unwrap_or_else(|| panic!("{bucket}: parts are not removed"));
        // An upload in parts is not taken away while it may be completed.
        assert!(bucket != "UploadsBucket" || days * 24 * 3600 > limits::PARTS_SECONDS, "{bucket}");
    }
}

#[test]
fn files_lie_where_the_buckets_rules_look_for_them() {
    let template = Template::read();
    let account: AccountId = "shop-1".parse().expect("an account");
    let import = ImportId::new(0, [0; 10]);
    let export = Export::new(ExportId::new(0, [0; 10]), account.clone(), "products".parse().expect("a kind"), 0);
    for (bucket, key, days) in [
        ("UploadsBucket", uploads::upload_key(&account, &import), "!Ref UploadRetentionDays"),
        ("ResultsBucket", uploads::rejected_key(&account, &import), "!Ref ImportRetentionDays"),
        ("ResultsBucket", export_file_key(&export), "!Ref ExportRetentionDays"),
        ("ResultsBucket", Folder::Digests.of_account(&account) + "products/0", "35"),
    ] {
        let rules = list(&template.properties(bucket)["LifecycleConfiguration"]["Rules"]);
        let holds = |rule: &&Value| rule["Prefix"].as_str().is_some_and(|prefix| key.starts_with(prefix));
        let holding: Vec<_> = rules.into_iter().filter(holds).collect();
        let [rule] = holding[..] else { panic!("{bucket}: one rule for {key}") };
        assert_eq!(shown(&rule["ExpirationInDays"]), days);
        if bucket == "UploadsBucket" {
            assert_eq!(shown(&rule["NoncurrentVersionExpiration"]["NoncurrentDays"]), days);
        }
    }
    assert_eq!(template.properties("UploadsBucket")["VersioningConfiguration"]["Status"], "Enabled");
}

/// The function that reads hostile files, and the one that strangers talk to, can remove no file.
#[test]
fn nobody_but_the_sweeper_removes_files() {
    let template = Template::read();
    let removes = |properties: &Value| {
        let text = shown(&properties["Policies"]);
        text.contains("s3:DeleteObject") || text.contains("s3:*")
    };
    let roles = template.of_type("AWS::IAM::Role");
    let removers: Vec<&str> =
        roles.iter().filter(|(_, properties)| removes(properties)).map(|(role, _)| *role).collect();
    assert_eq!(removers, ["SweepRole"]);
}

#[test]
fn tables_have_the_keys_that_the_store_uses() {
    let template = Template::read();
    let imports = template.properties("ImportsTable");
    let part = |name: &str, of: &str| json!({ "AttributeName": name, "KeyType": of });
    let key = |hash: &str, range: &str| json!([part(hash, "HASH"), part(range, "RANGE")]);
    assert_eq!(json(&imports["KeySchema"]), key("pk", "sk"));
    let keys_only = json!({ "ProjectionType": "KEYS_ONLY" });
    let due = json!([{ "IndexName": "due", "KeySchema": key("due_shard", "due_at"), "Projection": keys_only }]);
    assert_eq!(json(&imports["GlobalSecondaryIndexes"]), due);
    assert_eq!(json(&imports["TimeToLiveSpecification"]), json!({ "AttributeName": "ttl", "Enabled": true }));
    let records = template.properties("RecordsTable");
    assert_eq!(json(&records["KeySchema"]), key("pk", "sk"));
    let types = |table: &Value| -> BTreeMap<String, String> {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let definitions = list(&table["AttributeDefinitions"]).into_iter();
        definitions.map(|d| (text(&d["AttributeName"]), text(&d["AttributeType"]))).collect()
    };
    let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
    assert_eq!(types(imports), pairs(&[("pk", "S"), ("sk", "S"), ("due_shard", "S"), ("due_at", "N")]));
    assert_eq!(types(records), pairs(&[("pk", "S"), ("sk", "S")]));
    for (table, properties) in template.of_type("AWS::DynamoDB::Table") {
        assert_eq!(properties["BillingMode"], "PAY_PER_REQUEST", "{table}");
        assert_eq!(properties["SSESpecification"]["SSEEnabled"].as_bool(), Some(true), "{table}");
        let recovery = &properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"];
        assert_eq!(recovery.as_bool(), Some(true), "{table}");
        assert_eq!(shown(&properties["DeletionProtectionEnabled"]), "!Ref DeletionProtection", "{table}");
    }
}

/// The stack goes without them, and what replaces one leaves it; what was made by an operation that is rolled back goes
/// (AWS CloudFormation User Guide, "DeletionPolicy attribute").
#[test]
fn what_was_stored_outlives_the_stack_and_a_first_deployment_that_fails_leaves_nothing() {
    let template = Template::read();
    for of_type in ["AWS::DynamoDB::Table", "AWS::S3::Bucket"] {
        for resource in template.of_type(of_type).into_keys() {
            let policies = &template.0["Resources"][resource];
            assert_eq!(policies["DeletionPolicy"], "RetainExceptOnCreate", "{resource}");
            assert_eq!(policies["UpdateReplacePolicy"], "Retain", "{resource}");
        }
    }
}

/// Rows write records, deletes and replaces turn them into tombstones, and nobody removes an item but the sweeper, of
/// an account that is removed.
#[test]
fn records_are_written_by_the_validator_and_deleted_by_the_api_and_by_replaces() {
    let template = Template::read();
    let mut writers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (role, properties) in template.of_type("AWS::IAM::Role") {
        let policies = properties["Policies"].as_sequence().into_iter().flatten();
        for statement in policies.flat_map(|policy| list(&policy["PolicyDocument"]["Statement"])) {
            if list(&statement["Resource"]).into_iter().any(|resource| shown(resource).contains("RecordsTable")) {
                let actions = list(&statement["Action"]).into_iter().map(shown);
                let reads = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"];
                let writes = actions.filter(|action| !reads.contains(&action.as_str()));
                writers.entry(role).or_default().extend(writes);
            }
        }
    }
    writers.retain(|_, writes| !writes.is_empty());
    let wanted = [
        ("ApiRole", vec!["dynamodb:UpdateItem".to_owned()]),
        ("RemoveRole", vec!["dynamodb:PartiQLUpdate".to_owned()]),
        ("SweepRole", vec!["dynamodb:BatchWriteItem".to_owned()]),
        ("ValidateRole", vec!["dynamodb:PartiQLInsert".to_owned(), "dynamodb:PartiQLUpdate".to_owned()]),
    ];
    assert_eq!(writers, wanted.into());
}

/// Nothing but what makes them, and the stream that an output tells of, knows the stack's own tables by themselves.
#[test]
fn everything_uses_the_tables_that_were_restored_if_they_are_named() {
    let template = Template::read();
    let conditions = &template.0["Conditions"];
    for (table, name) in [("Imports", IMPORTS_NAME), ("Records", RECORDS_NAME)] {
        let parameter = format!("Restored{table}Table");
        assert_eq!(template.0["Parameters"][parameter.as_str()]["Default"], "");
        let condition = shown(&conditions[format!("HasRestored{table}").as_str()]);
        assert_eq!(condition, format!("!Not\n- !Equals\n  - !Ref {parameter}\n  - ''"));
        assert_eq!(shown(&template.0["Outputs"][format!("{table}TableName").as_str()]["Value"]), name);
        let whole = shown(&template.0);
        let one_line = whole.lines().map(str::trim).collect::<Vec<_>>().join("\n");
        let own = format!("!Ref {table}Table");
        assert_eq!(one_line.matches(&own).count(), one_line.matches(name).count(), "each is under the condition");
        let arns = if table == "Records" { 1 } else { 0 };
        assert_eq!(whole.matches(&format!("{table}Table.")).count(), arns);
        assert!(!whole.contains(&format!("${{{table}Table")));
    }
}

#[test]
fn what_a_deleted_record_leaves_expires() {
    let records = &Template::read().0["Resources"]["RecordsTable"]["Properties"];
    assert_eq!(json(&records["TimeToLiveSpecification"]), json!({ "AttributeName": "expires_at", "Enabled": true }));
}

#[test]
fn a_catalogue_is_kept_unless_it_is_said_otherwise_and_can_be_warmed() {
    let template = Template::read();
    let parameters = &template.0["Parameters"];
    assert_eq!(parameters["DeletionProtection"]["Default"], "true");
    // What a table on demand serves at once (Amazon DynamoDB Developer Guide, "Warm throughput").
    assert_eq!(parameters["WarmReadUnits"]["Default"].as_u64(), Some(12_000));
    assert_eq!(parameters["WarmWriteUnits"]["Default"].as_u64(), Some(4_000));
    // What is not asked for is not said: a table that has grown refuses less than it has (Amazon DynamoDB Developer
    // Guide, "Understanding DynamoDB warm throughput": reads, writes, or both are raised, and none is lowered).
    let warm = shown(&template.properties("RecordsTable")["WarmThroughput"]);
    let wanted = "\
!If
- HasWarmReads
- !If
  - HasWarmWrites
  - ReadUnitsPerSecond: !Ref WarmReadUnits
    WriteUnitsPerSecond: !Ref WarmWriteUnits
  - ReadUnitsPerSecond: !Ref WarmReadUnits
- !If
  - HasWarmWrites
  - WriteUnitsPerSecond: !Ref WarmWriteUnits
  - !Ref AWS::NoValue";
    assert_eq!(warm, wanted);
    let condition = |name: &str| shown(&template.0["Conditions"][name]);
    assert_eq!(condition("HasWarmReads"), "!Not\n- !Equals\n  - !Ref WarmReadUnits\n  - 12000");
    assert_eq!(condition("HasWarmWrites"), "!Not\n- !Equals\n  - !Ref WarmWriteUnits\n  - 4000");
}

#[test]
fn the_catalogues_stream_is_there_when_it_is_asked_for_and_shows_both_images() {
    let template = Template::read();
    assert_eq!(template.0["Parameters"]["RecordsStream"]["Default"], "false");
    assert_eq!(shown(&template.0["Conditions"]["HasRecordsStream"]), "!Equals\n- !Ref RecordsStream\n- 'true'");
    let stream = shown(&template.properties("RecordsTable")["StreamSpecification"]);
    for part in ["!If", "HasRecordsStream", "StreamViewType: NEW_AND_OLD_IMAGES", "!Ref AWS::NoValue"] {
        assert!(stream.contains(part), "{stream}");
    }
    let output = &template.0["Outputs"]["RecordsStreamArn"];
    assert_eq!(output["Condition"], "ShowsRecordsStream");
    // Of a table that was restored it is another one.
    let shows = "!And\n- !Condition HasRecordsStream\n- !Equals\n  - !Ref RestoredRecordsTable\n  - ''";
    assert_eq!(shown(&template.0["Conditions"]["ShowsRecordsStream"]), shows);
    assert_eq!(shown(&output["Value"]), "!GetAtt RecordsTable.StreamArn");
}

#[test]
fn pages_of_the_console_may_upload() {
    let template = Template::read();
    let cors = &template.properties("UploadsBucket")["CorsConfiguration"]["CorsRules"];
    let [rule] = &list(cors)[..] else { panic!("one rule") };
    assert_eq!(json(&rule["AllowedMethods"]), json!(["POST", "PUT"]));
    // What a presigned PUT signs, and what a browser adds.
    assert_eq!(json(&rule["AllowedHeaders"]), json!(["content-type", "if-none-match"]));
    let origins = shown(&rule["AllowedOrigins"]);
    assert!(origins.contains("!Ref CorsOrigins") && origins.contains("https://${RestApi}."), "{origins}");
    assert!(!origins.contains('*'), "{origins}");
}
