//! What `--help` shows after the options: examples, and what the exit codes mean.

pub(crate) const COMMAND: &str = "\
Examples:
  penstock check products.csv                  what an import would say of its rows, without one
  penstock import products.csv                 through a local cloud that ends with the command: a trial
  penstock dev                                 the local cloud at http://127.0.0.1:9000, until it is interrupted
  penstock login --url https://HOST            stores a service and a key for all commands below
  penstock import products.csv                 from then on at that service; --local for a trial

The service of a command is that of --url and --token, or --profile; else that of PENSTOCK_URL and PENSTOCK_TOKEN, or
PENSTOCK_PROFILE; else that of the profile `default` in ~/.config/penstock/config.toml.

Exit codes: 0 all is well; 1 it is not, or the command was none, or it was interrupted; 2 some rows were rejected
(import, check, watch); 3 an import waits to be confirmed (import, watch, confirm).";

pub(crate) const IMPORT: &str = "\
Examples:
  penstock import products.csv                        through a local cloud that ends with the command: a trial
  penstock import products.csv --profile shop         at the service that `penstock login --profile shop` has stored
  penstock import --url 127.0.0.1:9000 --token demo:secret jan.csv feb.csv
  zcat export.csv.gz | penstock import - --kind orders --mode create
  penstock import all.csv --mode replace --most-removed-percent 5
  penstock import products.csv --review               what would happen; `penstock confirm` has it happen
  penstock import --from imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F --map \"Item no=sku\"
  penstock import mended.csv --corrects imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F
  penstock import stock.xlsx --sheet Stock --map \"Item no=sku\" --abort 1000:5 --dry-run

Exit codes: 0 every row is fine, 2 some rows were rejected, 3 it waits to be confirmed, 1 an import
failed or was not made or followed to its end; of several files the worst, 1 before 3 before 2 before 0.";

pub(crate) const CHECK: &str = "\
Examples:
  penstock check products.csv --rejected bad.csv
  penstock check orders.json --kind orders --errors | head
  zcat export.csv.gz | penstock check -
  penstock check stock.xlsx --sheet Stock --kind stock.schema.json

Exit codes: 0 every row is fine, 2 some rows are bad, 1 an import of the file would fail, or it cannot be checked.";

pub(crate) const STATUS: &str = "\
Examples:
  penstock status imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F
  penstock status imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F --json | jq .rows";

pub(crate) const WATCH: &str = "\
Examples:
  penstock watch imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F && ./publish

Exit codes: 0 every row was fine, 2 some rows were rejected, 3 it waits to be confirmed, 1 the
import failed, was cancelled or expired.";

pub(crate) const ERRORS: &str = "\
Examples:
  penstock errors imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F
  penstock errors imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F --summary
  penstock errors imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F --json | jq -r .code | sort | uniq -c
  penstock errors imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F -o errors.ndjson";

pub(crate) const REJECTED: &str = "\
Examples:
  penstock rejected imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F -o rejected.csv
  penstock import rejected.csv --corrects imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F    once its rows are mended";

pub(crate) const HISTORY: &str = "\
Examples:
  penstock history imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F
  penstock history imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F --json | jq .sum";

pub(crate) const LIST: &str = "\
Examples:
  penstock list --status failed --limit 100
  penstock list --kind orders --json | jq -r .id";

pub(crate) const LISTEN: &str = "\
Examples:
  penstock listen
  penstock listen --forward-to 127.0.0.1:3000/hooks/imports
  penstock listen --json | jq -r 'select(.type == \"import.failed\") | .data.import.id'

An event is what a webhook is sent: {\"id\": …, \"type\": \"import.<status>\", \"timestamp\": …, \"data\": …}. What is
posted has the headers of Standard Webhooks, and is verified with the secret that is told at the start.";

pub(crate) const WEBHOOKS: &str = "\
Examples:
  penstock webhooks add https://example.com/hooks --events import.completed,import.failed
  penstock webhooks test whk_01KAKAX7PVE2NRKX37SYJHJP2W
  penstock webhooks deliveries whk_01KAKAX7PVE2NRKX37SYJHJP2W

The key needs the scope account:write.";

pub(crate) const WEBHOOKS_ADD: &str = "\
Examples:
  penstock webhooks add https://example.com/hooks
  penstock webhooks add https://example.com/hooks --events import.completed,import.failed --kinds products
  SECRET=$(penstock webhooks add https://example.com/hooks --description shop)";

pub(crate) const WEBHOOKS_LIST: &str = "\
Examples:
  penstock webhooks list
  penstock webhooks list --json | jq -r 'select(.disabled) | .url'";

pub(crate) const WEBHOOKS_SHOW: &str = "\
Examples:
  penstock webhooks show whk_01KAKAX7PVE2NRKX37SYJHJP2W";

pub(crate) const WEBHOOKS_CHANGE: &str = "\
Examples:
  penstock webhooks change whk_01KAKAX7PVE2NRKX37SYJHJP2W --to https://example.com/hooks/new
  penstock webhooks change whk_01KAKAX7PVE2NRKX37SYJHJP2W --events all --kinds products,orders
  penstock webhooks change whk_01KAKAX7PVE2NRKX37SYJHJP2W --enable";

pub(crate) const WEBHOOKS_DELETE: &str = "\
Examples:
  penstock webhooks delete whk_01KAKAX7PVE2NRKX37SYJHJP2W --yes";

pub(crate) const WEBHOOKS_ROTATE: &str = "\
Examples:
  SECRET=$(penstock webhooks rotate whk_01KAKAX7PVE2NRKX37SYJHJP2W)";

pub(crate) const WEBHOOKS_TEST: &str = "\
Examples:
  penstock webhooks test whk_01KAKAX7PVE2NRKX37SYJHJP2W";

pub(crate) const WEBHOOKS_DELIVERIES: &str = "\
Examples:
  penstock webhooks deliveries whk_01KAKAX7PVE2NRKX37SYJHJP2W --limit 5
  penstock webhooks deliveries whk_01KAKAX7PVE2NRKX37SYJHJP2W --json | jq -r 'select(.state == \"failed\") | .id'";

pub(crate) const WEBHOOKS_RESEND: &str = "\
Examples:
  penstock webhooks resend whk_01KAKAX7PVE2NRKX37SYJHJP2W evt_01KAKAX7PVE2NRKX37SYJHJP2W
  penstock webhooks resend whk_01KAKAX7PVE2NRKX37SYJHJP2W --after 2026-11-28T08:00:00Z --before 2026-11-28T12:00:00Z";

pub(crate) const EXPORT: &str = "\
Examples:
  penstock export products -o products.ndjson
  penstock export products --format csv -o products.csv
  penstock export orders --compression zstd -o orders.ndjson.zst
  penstock export products --changed-after imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F | jq .sku

An interruption cancels the export.";

pub(crate) const REMOVALS: &str = "\
Examples:
  penstock removals imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F
  penstock removals imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F --json | jq -r .key";

pub(crate) const CONFIRM: &str = "\
Examples:
  penstock confirm imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F
  penstock confirm imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F --yes --json | jq .removed
  penstock confirm imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F --even-if-moved

Exit codes: those of `penstock watch`.";

pub(crate) const RECORDS: &str = "\
Examples:
  penstock records list products --limit 10
  penstock records list products --changed-after imp_01KAKAX7PVE2NRKX37SYJHJP2W --json | jq -r .key
  penstock records get products TV-042 --provenance";

pub(crate) const RECORDS_LIST: &str = "\
Examples:
  penstock records list products --limit 10
  penstock records list products -o products.ndjson
  penstock records list products --changed-by imp_01KAKAX7PVE2NRKX37SYJHJP2W --json | jq -r .key";

pub(crate) const RECORDS_GET: &str = "\
Examples:
  penstock records get products TV-042
  penstock records get products TV-042 --provenance
  penstock records get inventory TV-042 BERLIN            of a kind with two key fields";

pub(crate) const RECORDS_DELETE: &str = "\
Examples:
  penstock records delete products TV-042 TV-043
  penstock records delete inventory TV-042,BERLIN         of a kind with two key fields
  penstock records delete --yes products $(cat keys.txt)
  penstock records delete products --all                  counts them, and asks before any goes";

pub(crate) const KINDS: &str = "\
Examples:
  penstock kinds list
  penstock kinds template orders -o orders.csv
  penstock kinds show products | jq .fields
  penstock kinds put gadgets.schema.json";

pub(crate) const PRESETS: &str = "\
Examples:
  penstock presets put nightly --kind products --delimiter ';' --decimal-char , --map Artikel=sku
  penstock import stock.csv --preset nightly
  penstock presets get nightly | jq .options.mapping";

pub(crate) const PRESETS_PUT: &str = "\
Examples:
  penstock presets put nightly --kind products --delimiter ';' --map Artikel=sku --map Name=name
  penstock presets put mirror --kind inventory --mode replace --most-removed-percent 5

What is not given has its default: a preset is put as a whole. One with the mode replace takes a key that has the scope
record:delete as well.";

pub(crate) const PRESETS_GET: &str = "\
Examples:
  penstock presets get nightly | jq .options";

pub(crate) const PRESETS_LIST: &str = "\
Examples:
  penstock presets list --json | jq -r .name";

pub(crate) const PRESETS_DELETE: &str = "\
Examples:
  penstock presets delete nightly";

pub(crate) const KEYS: &str = "\
Examples:
  penstock keys create --account shop --label nightly
  penstock keys create --scopes import:read --json | jq -r .token
  penstock keys revoke key_0123456789abcdef0123";

pub(crate) const LOGIN: &str = "\
Examples:
  penstock login                                                        asks for URL and key
  penstock login --profile shop --url https://imports.example.com < key.txt
  penstock list --profile shop";

pub(crate) const DEV: &str = "\
Examples:
  penstock dev --listen 9000 --data ./cloud --key demo:secret
  PENSTOCK_KEY=demo:$(openssl rand -hex 16) penstock dev --listen 0.0.0.0:9000 --public-url http://build-host:9000
  penstock dev --listen 9000 --quiet --ready-file ready.json
  penstock login --profile dev --url 127.0.0.1:9000 --token demo:secret";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  penstock completions bash > ~/.local/share/bash-completion/completions/penstock
  penstock completions fish > ~/.config/fish/completions/penstock.fish
  penstock completions zsh > ~/.zfunc/_penstock                         a folder of $fpath";

pub(crate) const CANCEL: &str = "\
Examples:
  penstock cancel imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F            what has been applied stays applied";

pub(crate) const DELETE: &str = "\
Examples:
  penstock delete imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F
  penstock list --status failed --json | jq -r .id | xargs -n 1 penstock delete --yes";

pub(crate) const LOGOUT: &str = "\
Examples:
  penstock logout
  penstock logout --profile shop                            the key itself stays valid: `penstock keys revoke` ends it";

pub(crate) const SERVE: &str = "\
Examples:
  penstock serve                                            at 127.0.0.1:8080, over the tables and buckets that the
                                                            environment names
  penstock serve --listen 0.0.0.0:8080                      for all that reach this machine, as in a container";

pub(crate) const COST: &str = "\
Examples:
  penstock cost
  penstock cost --rows 1000000 --measured measured.json
  penstock cost --rows 1000 --json | jq '.runs[].dollars_per_million'";

pub(crate) const KINDS_LIST: &str = "\
Examples:
  penstock kinds list --json | jq -r .name";

pub(crate) const KINDS_SHOW: &str = "\
Examples:
  penstock kinds show products | jq .fields
  penstock kinds show gadgets -o gadgets.schema.json";

pub(crate) const KINDS_PUT: &str = "\
Examples:
  penstock kinds put gadgets.schema.json
  jq '.title = \"Gadgets\"' gadgets.schema.json | penstock kinds put -";

pub(crate) const KINDS_DELETE: &str = "\
Examples:
  penstock kinds delete gadgets
  penstock kinds delete gadgets --yes";

pub(crate) const KINDS_TEMPLATE: &str = "\
Examples:
  penstock kinds template orders -o orders.csv";

pub(crate) const KEYS_CREATE: &str = "\
Examples:
  penstock keys create --account shop --label nightly
  penstock keys create --scopes import:read --json | jq -r .token";

pub(crate) const KEYS_BOOTSTRAP: &str = "\
Examples:
  penstock keys bootstrap --stack penstock
  AWS_PROFILE=production penstock keys bootstrap --stack penstock";

pub(crate) const KEYS_LIST: &str = "\
Examples:
  penstock keys list --account shop";

pub(crate) const KEYS_REVOKE: &str = "\
Examples:
  penstock keys revoke key_0123456789abcdef0123";

pub(crate) const EXPORTS: &str = "\
Examples:
  penstock exports list --limit 5
  penstock exports delete exp_01KAKAX7PVE2NRKX37SYJHJP2W";

pub(crate) const EXPORTS_LIST: &str = "\
Examples:
  penstock exports list --json | jq -r .url";

pub(crate) const EXPORTS_CANCEL: &str = "\
Examples:
  penstock exports cancel exp_01KAKAX7PVE2NRKX37SYJHJP2W";

pub(crate) const EXPORTS_DELETE: &str = "\
Examples:
  penstock exports delete exp_01KAKAX7PVE2NRKX37SYJHJP2W --yes";

pub(crate) const ACCOUNTS: &str = "\
Examples:
  penstock accounts list
  penstock accounts delete shop
  penstock accounts removal shop";

pub(crate) const ACCOUNTS_LIST: &str = "\
Examples:
  penstock accounts list --json | jq -r .account";

pub(crate) const ACCOUNTS_DELETE: &str = "\
Examples:
  penstock accounts delete shop
  penstock accounts delete shop --yes --wait";

pub(crate) const ACCOUNTS_REMOVAL: &str = "\
Examples:
  penstock accounts removal shop --json | jq .removed";

pub(crate) const DOCTOR: &str = "\
Examples:
  penstock doctor --stack imports            after a deployment, with AWS credentials and no key
  penstock doctor --profile shop             with a key of import:read, import:write, import:delete, record:delete
  penstock doctor --stack imports --json | jq -r 'select(.ok | not) | .look'

Exit codes: 0 all is as it should be, 1 it is not.";
