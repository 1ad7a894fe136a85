// The commands, in the order of the help. Each adds itself to the program.
#pragma once

#include "context.h"

namespace warmset::cli {

void AddServe(CLI::App& app, Context& context);
void AddRun(CLI::App& app, Context& context);
void AddScan(CLI::App& app, Context& context);
void AddList(CLI::App& app, Context& context);
void AddShow(CLI::App& app, Context& context);
void AddOverride(CLI::App& app, Context& context);
void AddCache(CLI::App& app, Context& context);
void AddPreload(CLI::App& app, Context& context);
void AddUncache(CLI::App& app, Context& context);
void AddPath(CLI::App& app, Context& context);
void AddLoad(CLI::App& app, Context& context);
void AddUnload(CLI::App& app, Context& context);
void AddPlan(CLI::App& app, Context& context);
void AddPs(CLI::App& app, Context& context);
void AddDevices(CLI::App& app, Context& context);
void AddInspect(CLI::App& app, Context& context);
void AddDoctor(CLI::App& app, Context& context);
void AddConfig(CLI::App& app, Context& context);
void AddShutdown(CLI::App& app, Context& context);

// The program: parses, runs one command, reports. Returns the exit code.
int Main(int argc, char** argv);

}  // namespace warmset::cli
