package org.elasticsearch.node;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.plugins.ClasspathPlugins;
import org.elasticsearch.plugins.PluginsLoader;
import org.elasticsearch.plugins.PluginsService;

/**
 * One Elasticsearch node for tests, from the published jars alone: its own launcher reads an installation, which the
 * published jars are not. Arguments: the home folder, then the plugins' class names separated by commas, then settings
 * as {@code name=value}. It lives in Elasticsearch's package because what makes a node is not public.
 */
public final class TestNode extends Node {

    private TestNode(Environment environment, List<String> plugins) {
        super(NodeConstruction.prepareConstruction(environment, noInstalledPlugins(), new Services(plugins), true));
    }

    private static PluginsLoader noInstalledPlugins() {
        return PluginsLoader.createPluginsLoader(Set.of(), Set.of(), Map.of(), false);
    }

    private static final class Services extends NodeServiceProvider {
        private final List<String> plugins;

        Services(List<String> plugins) {
            this.plugins = plugins;
        }

        @Override
        PluginsService newPluginService(Environment environment, PluginsLoader none) {
            return new ClasspathPlugins(environment, none, plugins);
        }
    }

    /** Would put node and cluster id into a log layout that only an installation configures. */
    @Override
    protected void configureNodeAndClusterIdStateListener(ClusterService clusterService) {}

    public static void main(String[] arguments) throws Exception {
        Path home = Path.of(arguments[0]).toAbsolutePath();
        for (String folder : List.of("config", "data", "logs", "lib", "modules", "plugins")) {
            Files.createDirectories(home.resolve(folder));
        }
        Settings.Builder settings = Settings.builder().put("path.home", home.toString());
        for (String argument : List.of(arguments).subList(2, arguments.length)) {
            String[] pair = argument.split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        LogConfigurator.configureESLogging();
        LogConfigurator.configureWithoutConfig(settings.build());
        LogConfigurator.setNodeName("test");

        TestNode node = new TestNode(new Environment(settings.build(), home.resolve("config")), List.of(arguments[1].split(",")));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> closeQuietly(node)));
        node.start();
        Thread.currentThread().join();
    }

    private static void closeQuietly(Node node) {
        try {
            node.close();
        } catch (Exception failed) {
            failed.printStackTrace();
        }
    }
}
