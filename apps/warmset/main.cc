#include "commands.h"

int main(int argc, char** argv) { return warmset::cli::Main(argc, argv); }
