const fs = require("fs");
fs.mkdirSync("dist", { recursive: true });
const body = fs.readFileSync("src/server.js", "utf8").replace("MODE", JSON.stringify(process.env.NODE_ENV));
fs.writeFileSync("dist/server.js", body);
