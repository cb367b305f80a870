const baseUrl = "https://api.algure.com/v1";
const authorization = "Basic <base64(clientId:clientSecret)>";

const createImportRes = await fetch(`${baseUrl}/products/import`, {
  method: "POST",
  headers: { Authorization: authorization },
});

if (!createImportRes.ok) {
  throw new Error(`Create import failed: ${createImportRes.status}`);
}

const productImport = await createImportRes.json();
console.log(productImport); // { id: "...", expiresAt: "..." }

function buildAlgureCsv(rows) {
  const header = [
    "code",
    "description",
    "stock",
    "warehouseCode",
    "locationCode",
    "locationPriority",
    "costPrice",
    "packagingUnit",
    "lot",
  ].join(",");

  const lines = rows.map((r) =>
    [
      r.code,
      r.description,
      r.stock,
      r.warehouseCode,
      r.locationCode,
      r.locationPriority ?? "",
      r.costPrice,
      r.packagingUnit,
      r.lot ?? "",
    ].join(",")
  );

  return [header, ...lines].join("\n");
}

const csv = buildAlgureCsv(rows);

const uploadRes = await fetch(`${baseUrl}/products/import/${productImport.id}`, {
  method: "PUT",
  headers: {
    Authorization: authorization,
    "Content-Type": "text/csv",
  },
  body: csv,
});

if (uploadRes.status !== 201) {
  throw new Error(`Upload failed: ${uploadRes.status}`);
}

console.log("Feed accepted and queued");
