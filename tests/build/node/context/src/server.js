console.log("serving in", MODE, "on", process.env.NODE_ENV);
