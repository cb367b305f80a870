// Papa Parse and Ajv: a JSON Schema of the columns, each row validated as it is read; prints the bad rows.

import { createReadStream } from "node:fs";
import Ajv from "ajv";
import Papa from "papaparse";

const number = { type: "string", pattern: "^(-?[0-9]+([.][0-9]+)?)?$" };
const required = { type: "string", minLength: 1 };
const text = { type: "string" };
const names =
  "sku,name,description,cost,upc,brand,msrp,base_price,category,active,custom1_name,custom1_value,custom2_name," +
  "custom2_value,custom3_name,custom3_value,image_url,sales_unit,base_units_per_sales_unit";
const checks = {
  sku: required,
  name: required,
  brand: required,
  cost: number,
  msrp: number,
  base_price: number,
  active: { enum: ["", "true", "false"] },
  base_units_per_sales_unit: { type: "string", pattern: "^(-?[0-9]+)?$" },
};
const columns = names.split(",");
const validate = new Ajv({ allErrors: true }).compile({
  type: "object",
  properties: Object.fromEntries(columns.map((name) => [name, checks[name] ?? text])),
  required: columns,
});

let row = 0;
const bad = [];
Papa.parse(createReadStream(process.argv[2]), {
  header: true,
  skipEmptyLines: true,
  step: ({ data }) => {
    row += 1;
    if (!validate(data)) bad.push(row);
  },
  complete: () => process.stdout.write(bad.map((number) => `${number}\n`).join("")),
  error: (error) => {
    throw error;
  },
});
