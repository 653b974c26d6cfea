import "uplot/dist/uPlot.min.css";
import "./app.css";
import "./tables.css";
import "./pages.css";
import { render } from "preact";
import { App } from "./app";

const root = document.getElementById("app");
if (root) render(<App />, root);
